"""Random PromQL: a typed grammar whose sentences are trees, so that a failing one can be shrunk.

A Node has a type (v instant vector, r range vector, s scalar, t string) and parts: texts, Nodes,
and Opts (texts that may be left out). Grammar(seed).query() gives a tree of random size. With
`faults`, some sentences break the language on purpose: a node of another type in some place, or
characters changed after printing. `core` keeps to what Prometheus 2.42 knows and answers equally.
"""
import copy
import random

from dataset import SAMPLES, STEP_MS, T0

END = T0 + SAMPLES * STEP_MS // 1000


class Opt:
    def __init__(self, *parts):
        self.parts = list(parts)


class Node:
    def __init__(self, kind, *parts):
        self.kind = kind
        self.parts = list(parts)

    def __str__(self):
        return "".join(str(p) for p in flatten(self.parts))


def flatten(parts):
    for p in parts:
        if isinstance(p, Opt):
            yield from flatten(p.parts)
        else:
            yield p


FLOATS = ["up", "node_cpu_seconds_total", "temperature_celsius", "node_load1", "churn", "same",
          "http_requests_total", "http_request_duration_seconds_bucket", "extreme",
          "http_request_duration_seconds_sum", "http_request_duration_seconds_count",
          "node_uname_info", "target_info", "build_info", "nonexistent_metric"]
ODD = ["typed_total", "headless_bucket", "damaged_bucket", "both_kinds", "kinds", "mixed_metric",
       '{"queue.length"}', '{"queue.length","queue.name"="α-1"}', '{__name__=~"node_load.|up"}',
       '{job="api"}', '{__name__=~".*info"}', '{__name__="up"}', '{__name__=~"rpc_.*"}',
       '{__name__!~"[a-m].*",job="api"}', '{"queue.name"=~"α.*"}']
HISTOGRAMS = ["rpc_latency_seconds", "rpc_latency_float_seconds", "rpc_size_bytes", "rpc_gauge",
              "mixed_metric", "kinds", "nan_sum", "nan_observations", "one_sided",
              "empty_histogram"]
LABELS = ["job", "instance", "mode", "cpu", "code", "method", "le", "service", "sensor", "nope",
          "version", "a", "pod", '"queue.name"', "__name__", "kind", "b", "__type__", "cluster"]
MATCHERS = ['job="node"', 'job!="api"', 'mode=~"user|system"', 'mode!~"i.*"', 'code="200"',
            'instance=~"host-[01].*"', 'code=~"4..|5.."', 'le="0.1"', 'nope=""', 'nope!=""',
            'cpu=~".+"', 'method=~"(?i)get"', '__name__=~"node_.*|rpc.*"', 'instance!=""', 'a="x"',
            'service="auth"', 'service!~"a.*"', 'kind=~"huge|mixed"', 'version="v1"', 'pod=~"[ab]"',
            'sensor="b"', 'job=~".*"', 'instance="api-0:8080"', '__type__="gauge"']
RANGE_FUNCTIONS = ["rate", "increase", "delta", "irate", "idelta", "deriv", "changes", "resets",
                   "avg_over_time", "min_over_time", "max_over_time", "sum_over_time",
                   "count_over_time", "stddev_over_time", "stdvar_over_time", "last_over_time",
                   "present_over_time", "absent_over_time"]
RANGE_FUNCTIONS_NEW = ["first_over_time", "mad_over_time", "ts_of_max_over_time",
                       "ts_of_min_over_time", "ts_of_first_over_time", "ts_of_last_over_time",
                       "integral"]
MATH = ["abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "round", "sin", "cos",
        "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "deg",
        "rad"]
DATES = ["hour", "minute", "month", "year", "day_of_week", "day_of_month", "day_of_year",
         "days_in_month"]
HISTOGRAM_PARTS = ["histogram_count", "histogram_sum", "histogram_avg", "histogram_stddev",
                   "histogram_stdvar"]
AGGREGATES = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]
ARITHMETIC = ["+", "-", "*", "/", "%", "^", "atan2"]
TRIM = ["</", ">/"]
COMPARISONS = ["==", "!=", ">", "<", ">=", "<="]
CORE_OPERATORS = [op for op in ARITHMETIC + COMPARISONS if op != "atan2"]
NUMBERS = ["0", "1", "2", "3", "2.5", "-1", "0.001", "100", "1e3", "Inf", "-Inf", "NaN", "0x1f",
           "1_000", "5m", "1e-320", "-0", "010", "1e308", "+5", ".5", "5."]
DURATIONS = ["15s", "30s", "1m", "2m", "5m", "7m30s", "10m", "1h", "45s", "90s", "100ms", "1m17s"]
RATIOS = ["0.5", "0.9", "0.99", "0", "1", "0.25", "-0.5", "1.5", "NaN", "Inf"]


class Grammar:
    def __init__(self, seed, core=False, faults=0.0):
        self.r = random.Random(seed)
        self.core = core
        self.faults = faults
        self.made = []  # Vectors of the query.

    def chance(self, p):
        return self.r.random() < p

    def pick(self, *options):
        """One of (weight, function) by weight."""
        x = self.r.random() * sum(w for w, _ in options)
        for weight, make in options:
            x -= weight
            if x < 0:
                return make()
        return options[-1][1]()

    def query(self):
        self.made = []
        depth = self.r.choice([0, 1, 1, 2, 2, 2, 3, 3, 4])
        return self.pick((12, lambda: self.vector(depth)), (0.6, lambda: self.scalar(depth)),
                         (0.25, lambda: self.range_vector(depth)),
                         (0.05, lambda: Node("t", '"text"')))

    def damage(self, text):
        """The text with some characters changed: mostly no PromQL any more."""
        r = self.r
        for _ in range(r.choice([1, 1, 2])):
            at = r.randrange(len(text) + 1)
            what = r.random()
            if what < 0.35:
                text = text[:at] + text[at + r.choice([1, 1, 3]):]
            elif what < 0.85:
                text = text[:at] + r.choice(
                    ["(", ")", "{", "}", "[", "]", ",", "=", "!", "~", '"', "'", "`", "5m", "1", "#",
                     " by ", " on ", "offset ", "@ ", "bool ", "sum", " group_left ", "-", "^", ":",
                     " and ", "é", "\\", "NaN", " fill(1) ", "start()", "_", ".", "0x", "rate(",
                     "\n", " smoothed", " anchored", "max_of(", "ignoring(job)", "e", " ", "*"]
                ) + text[at:]
            else:
                text = text[:at] + text[at:at + 6] * 2 + text[at + 6:]
        return text

    # ---- leaves ----

    def number(self):
        if self.core:
            return Node("s", self.r.choice(["0", "1", "2.5", "-1", "100", "Inf", "NaN", "0.001"]))
        return Node("s", self.r.choice(NUMBERS))

    def duration(self):
        if self.core:
            return self.r.choice(["30s", "1m", "2m", "5m", "7m30s", "10m", "45s", "90s"])
        if self.chance(0.92):
            return self.r.choice(DURATIONS)
        d = self.r.choice
        return d([f"step()+{d(DURATIONS)}", f"range()+{d(DURATIONS)}", "step()", "5m*2", "600/3",
                  f"max_of({d(DURATIONS)},step())", f"min_of({d(DURATIONS)},range())", "1m-2m",
                  "(1m+30s)*2", "2^7", "-1m", "1m%45s", "60", "1.5", "5m/0", "step()*3", "90.5"])

    def selector(self, histogram=0.25):
        x = self.r.random()
        if self.core:
            name = self.r.choice([n for n in FLOATS if n not in ("extreme", "temperature_celsius")])
        elif x < histogram:
            name = self.r.choice(HISTOGRAMS)
        elif x < histogram + 0.12:
            name = self.r.choice(ODD)
        else:
            name = self.r.choice(FLOATS)
        if name.startswith("{"):
            return [name]
        chosen = self.r.sample(MATCHERS[:14] if self.core else MATCHERS,
                               self.r.choice([0, 0, 0, 1, 1, 2]))
        chosen = [m for m in chosen if not m.startswith("__name__")]
        return [name, Opt("{" + ",".join(chosen) + "}") if chosen else ""]

    def modifiers(self):
        out = []
        if self.chance(0.12):
            offset = self.r.choice(["1m", "5m", "37s", "-1m", "-37s", "20m"])
            if not self.core and self.chance(0.2):
                offset = self.r.choice(["step()", "-step()", "range()", "(1m+step())", "(2*30s)",
                                        "max_of(1m,step())", "90.5", "0s", "-7.5", "(1m-step()*2)"])
            out.append(Opt(" offset " + offset))
        if self.chance(0.08):
            at = self.r.choice([str(T0 + 1200), str(T0 + 1807.5), str(END + 99), "start()", "end()"])
            if self.core:
                at = str(T0 + 1807.37)
            out.append(Opt(" @ " + at))
        self.r.shuffle(out)
        return out

    # ---- range vectors ----

    def range_vector(self, depth):
        if depth > 0 and not self.core and self.chance(0.22):
            step = self.r.choice(["", "", "30s", "1m", "17s", "15s", "step()", "2m"])
            inner = self.vector(depth - 1)
            return Node("r", "(", inner, ")[", self.duration(), ":", step, "]", *self.modifiers())
        parts = [*self.selector(), "[", self.duration(), "]"]
        if not self.core and self.chance(0.12):
            parts.append(Opt(self.r.choice([" anchored", " smoothed"])))
        return Node("r", *parts, *self.modifiers())

    def range_call(self, depth):
        r = self.r
        names = RANGE_FUNCTIONS + RANGE_FUNCTIONS_NEW + ["rate", "increase"] * 2
        if self.core:  # Version 3 extrapolates otherwise.
            names = [n for n in RANGE_FUNCTIONS if n not in ("rate", "increase")]
        name = r.choice(names + ["quantile_over_time"] +
                        ([] if self.core else ["predict_linear", "smoothing"]))
        arg = self.arg("r", depth)
        if name == "quantile_over_time":
            return Node("v", name, "(", self.ratio(depth), ", ", arg, ")")
        if name == "predict_linear":
            return Node("v", name, "(", arg, ", ", self.scalar(depth - 1), ")")
        if name == "smoothing":
            factors = r.choice(["0.5, 0.3", "0.9, 0.1", "0.1, 0.99", "1, 0.5", "0.5, -1", "NaN, 0.5"])
            return Node("v", "double_exponential_smoothing(", arg, ", ", factors, ")")
        if name == "integral" and self.chance(0.6):
            return Node("v", name, "(", arg, ", ", r.choice(["0", "1", "2", "3", "NaN", "1.5"]), ")")
        return Node("v", name, "(", arg, ")")

    # ---- scalars and strings ----

    def ratio(self, depth):
        if depth > 0 and self.chance(0.1):
            return self.scalar(depth - 1)
        return Node("s", self.r.choice(RATIOS[:6] if self.core else RATIOS))

    def scalar(self, depth):
        if depth <= 0:
            return self.number()
        options = [
            (6, self.number),
            (2, lambda: Node("s", "scalar(", self.arg("v", depth - 1), ")")),
            (1, lambda: Node("s", self.r.choice(["time()", "pi()"]))),
            (1.5, lambda: Node("s", "(", self.scalar(depth - 1), f" {self.r.choice(CORE_OPERATORS if self.core else ARITHMETIC)} ",
                               self.scalar(depth - 1), ")")),
            (0.5, lambda: Node("s", "(", self.scalar(depth - 1),
                               f" {self.r.choice(COMPARISONS)} bool ", self.scalar(depth - 1), ")")),
            (0.3, lambda: Node("s", self.r.choice("-+"), self.scalar(depth - 1)))]
        if not self.core:
            options += [
                (1, lambda: Node("s", self.r.choice(["start()", "end()", "step()", "range()"]))),
                (0.8, lambda: Node("s", self.r.choice(["max_of", "min_of"]), "(",
                                   self.scalar(depth - 1), ", ", self.scalar(depth - 1), ")"))]
        return self.pick(*options)

    def arg(self, kind, depth):
        """An argument of the wanted type, or now and then of another one."""
        if self.faults and self.chance(self.faults):
            kind = self.r.choice("vrst")
        return {"v": self.vector, "r": self.range_vector, "s": self.scalar,
                "t": lambda _: Node("t", '"text"')}[kind](depth)

    # ---- instant vectors ----

    def plain(self):
        parts = self.selector()
        if not self.core and self.chance(0.04):
            parts.append(Opt(self.r.choice([" smoothed", " anchored"])))
        return Node("v", *parts, *self.modifiers())

    def grouping(self):
        if self.chance(0.35):
            return ""
        labels = LABELS[:12] if self.core else LABELS
        return Opt(self.r.choice([" by ", " without "]) + "(" +
                   ", ".join(self.r.sample(labels, self.r.choice([0, 1, 1, 2, 3]))) + ")")

    def aggregate(self, depth):
        r = self.r
        names = AGGREGATES + ["sum", "avg", "quantile", "count_values", "topk", "bottomk", "limitk",
                              "limit_ratio"]
        if self.core:
            names = ["sum", "avg", "min", "max", "count", "group", "count_values"]
        name = r.choice(names)
        parameter = []
        if name in ("topk", "bottomk", "limitk"):
            k = r.choice(["1", "2", "3", "0", "100"] if self.core else
                         ["1", "2", "3", "0", "100", "-1", "NaN", "1e30", "2.7", "-Inf"])
            parameter = [Node("s", k) if self.chance(0.9) else self.scalar(depth - 1), ", "]
        elif name == "quantile":
            parameter = [self.ratio(depth), ", "]
        elif name == "limit_ratio":
            parameter = [r.choice(["0.5", "-0.3", "0.9", "-1", "1", "0", "2", "NaN"]), ", "]
        elif name == "count_values":
            parameter = [r.choice(['"v"', '"job"', '"v"', '"le"', '"a b"', '""']
                                  if not self.core else ['"v"']), ", "]
        return Node("v", name, self.grouping(), " (", *parameter, self.arg("v", depth - 1), ")")

    def classic_quantile(self, depth):
        name = self.r.choice(["http_request_duration_seconds_bucket"] * 3 +
                             ([] if self.core else ["headless_bucket", "damaged_bucket",
                                                    "both_kinds"]))
        by = self.r.choice(["le", "le, instance", "le, job"])
        fn = self.r.choice(["sum_over_time", "last_over_time"] +
                           ([] if self.core else ["rate", "increase"]))
        inner = Node("v", f"sum by ({by}) (", Node("v", f"{fn}(", Node(
            "r", name, "[", self.duration(), "]", *self.modifiers()), ")"), ")")
        if self.chance(0.3):
            inner = Node("v", name)
        if self.chance(0.2) and not self.core:
            return Node("v", "histogram_fraction(", self.number(), ", ", self.number(), ", ", inner,
                        ")")
        return Node("v", "histogram_quantile(", self.ratio(depth), ", ", inner, ")")

    def histogram_call(self, depth):
        r = self.r
        if self.chance(0.6):
            name = r.choice(HISTOGRAMS + ["both_kinds"])
            inner = Node("v", name, *self.modifiers())
            if self.chance(0.5):
                inner = Node("v", r.choice(["rate", "increase", "delta", "irate", "idelta",
                                            "sum_over_time", "avg_over_time", "last_over_time",
                                            "first_over_time"]), "(",
                             Node("r", name, "[", self.duration(), "]", *self.modifiers()), ")")
            if self.chance(0.4):
                inner = Node("v", r.choice(["sum", "avg"]), self.grouping(), " (", inner, ")")
        else:
            inner = self.arg("v", depth - 1)
        return self.pick(
            (3, lambda: Node("v", "histogram_quantile(", self.ratio(depth), ", ", inner, ")")),
            (2, lambda: Node("v", "histogram_fraction(", self.number(), ", ", self.number(), ", ",
                             inner, ")")),
            (3, lambda: Node("v", r.choice(HISTOGRAM_PARTS), "(", inner, ")")),
            (1, lambda: Node("v", "histogram_quantiles(", inner, ', "', r.choice(
                ["q", "job", "le", "0"]), '", ', ", ".join(r.sample(RATIOS, r.choice([1, 2, 3]))),
                ")")),
            (1, lambda: inner))

    def labels_call(self, depth):
        r = self.r
        v = self.arg("v", depth - 1)
        if self.chance(0.7):
            target = r.choice(["dst", "job", "instance", "__name__", "le", "a"])
            to = r.choice(["$1-x", "", "${1}", "$name", "c", "$2$1"])
            source = r.choice(LABELS[:13])
            regex = r.choice(["(.*)", "host-(.*):.*", "(.+)-.*", "(?P<name>.)(.*)", "", "api", "("]
                             if not self.core else ["(.*)", "host-(.*):.*", "(.+)-.*"])
            return Node("v", "label_replace(", v, f', "{target}", "{to}", "{source}", "{regex}")')
        sources = r.sample(["job", "instance", "nope", "le", "mode"], r.choice([0, 1, 2, 3]))
        return Node("v", "label_join(", v, f', "{r.choice(["dst", "job", "__name__"])}", '
                    f'"{r.choice(["-", ""])}"', "".join(f', "{s}"' for s in sources), ")")

    def info_call(self, depth):
        matcher = self.r.choice(["", "", ', {version=~".+"}', ', {cluster="c0"}', ', {nope=""}',
                                 ', {__name__="build_info"}', ', {__name__=~".*_info"}',
                                 ', {revision=~".*", __name__=~"build.*|target.*"}',
                                 ', {__name__!="target_info"}', ', {version!="v1"}'])
        return Node("v", "info(", self.arg("v", depth - 1), Opt(matcher) if matcher else "", ")")

    def with_scalar(self, depth):
        op = self.r.choice(CORE_OPERATORS if self.core else ARITHMETIC + COMPARISONS + TRIM)
        bool_ = Opt(" bool") if op in COMPARISONS and self.chance(0.3) else ""
        sides = [self.arg("v", depth - 1), self.scalar(depth - 1)]
        if self.chance(0.35):
            sides.reverse()
        return Node("v", "(", sides[0], f" {op}", bool_, " ", sides[1], ")")

    def matching(self):
        if self.chance(0.35):
            return ""
        labels = LABELS[:12] if self.core else LABELS
        return self.r.choice([" on", " ignoring"]) + "(" + ", ".join(
            self.r.sample(labels, self.r.choice([0, 1, 1, 2, 3]))) + ")"

    def joined(self, depth):
        r = self.r
        left = self.arg("v", depth - 1)
        # Two independent vectors seldom match: often the right side is a variant of the left.
        if self.chance(0.45):
            right = self.r.choice([left, Node("v", "(", left, " * 2)"), Node("v", "-", left),
                                   Node("v", "abs(", left, ")"),
                                   Node("v", "sum by (instance, job) (", left, ")"),
                                   Node("v", "max(" if self.core else "topk(2, ", left, ")")])
        else:
            right = self.arg("v", depth - 1)
        if self.chance(0.3):
            left, right = right, left
        match = self.matching()
        if self.chance(0.25):
            return Node("v", "(", left, f' {r.choice(["and", "or", "unless"])}', Opt(match), " ",
                        right, ")")
        op = r.choice(CORE_OPERATORS if self.core else ARITHMETIC + COMPARISONS + ["+", "-"] + TRIM)
        bool_ = Opt(" bool") if op in COMPARISONS and self.chance(0.3) else ""
        group = ""
        if match and self.chance(0.5):
            group = " " + r.choice(["group_left", "group_right"]) + r.choice(
                ["", "()", "(nodename)", "(version, nope)", "(mode)", "(job)"])
        fill = ""
        if not self.core and self.chance(0.2):
            value = r.choice(["0", "1", "-5", "NaN", "2.5", "Inf"])
            fill = r.choice([f" fill({value})", f" fill_left({value})", f" fill_right({value})",
                             f" fill_left({value}) fill_right(3)"])
        return Node("v", "(", left, f" {op}", bool_, Opt(match, Opt(group) if group else ""),
                    Opt(fill) if fill else "", " ", right, ")")

    def vector(self, depth):
        """Now and then one that the query has already: equal parts are evaluated once."""
        if self.core:
            return self.new_vector(depth)
        if self.made and self.chance(0.12):
            return copy.deepcopy(self.r.choice(self.made))
        node = self.new_vector(depth)
        self.made.append(node)
        return node

    def new_vector(self, depth):
        if depth <= 0:
            return self.plain()
        r = self.r
        options = [
            (2, self.plain),
            (7, lambda: self.range_call(depth)),
            (6, lambda: self.aggregate(depth)),
            (2.2, lambda: Node("v", r.choice(MATH), "(", self.arg("v", depth - 1), ")")),
            (0.7, lambda: Node("v", r.choice(DATES), "(", r.choice(
                ["", self.vector(depth - 1)]), ")")),
            (1.5, lambda: self.classic_quantile(depth)),
            (1.5, lambda: self.labels_call(depth)),
            (3, lambda: self.with_scalar(depth)),
            (5, lambda: self.joined(depth)),
            (0.5, lambda: Node("v", "(", self.vector(depth - 1), ")")),
            (0.7, lambda: Node("v", r.choice("-+"), self.arg("v", depth - 1))),
            (0.6, lambda: Node("v", "timestamp(", self.arg("v", depth - 1), ")")),
            (0.6, lambda: Node("v", "vector(", self.scalar(depth - 1), ")")),
            (0.6, lambda: Node("v", "absent(", self.arg("v", depth - 1), ")")),
            (0.8, lambda: Node("v", r.choice(["sort", "sort_desc"]), "(",
                               self.arg("v", depth - 1), ")")),
            (0.6, lambda: Node("v", r.choice(["clamp_min", "clamp_max"]), "(",
                               self.arg("v", depth - 1), ", ", self.scalar(depth - 1), ")")),
            (0.4, lambda: Node("v", "clamp(", self.arg("v", depth - 1), ", ",
                               self.scalar(depth - 1), ", ", self.scalar(depth - 1), ")")),
            (0.4, lambda: Node("v", "round(", self.arg("v", depth - 1), ", ",
                               self.scalar(depth - 1), ")"))]
        if not self.core:
            options += [
                (4, lambda: self.histogram_call(depth)),
                (1, lambda: self.info_call(depth)),
                (0.3, lambda: Node("v", "start_timestamp(", self.arg("v", depth - 1), ")")),
                (0.6, lambda: Node("v", r.choice(["sort_by_label", "sort_by_label_desc"]), "(",
                                   self.arg("v", depth - 1), ', "instance"', Opt(', "job"'), ")"))]
        return self.pick(*options)


# ---- shrinking ------------------------------------------------------------------------------

def descendants(node):
    for p in node.parts if isinstance(node, (Node, Opt)) else ():
        if isinstance(p, (Node, Opt)):
            if isinstance(p, Node):
                yield p
            yield from descendants(p)


def replaced(part, old, new):
    """A copy of the tree with one part (by identity) replaced; None removes it."""
    if part is old:
        return new
    if isinstance(part, Node):
        return Node(part.kind, *[x for x in (replaced(p, old, new) for p in part.parts)
                                 if x is not None])
    if isinstance(part, Opt):
        return Opt(*[x for x in (replaced(p, old, new) for p in part.parts) if x is not None])
    return part


def optionals(part):
    for p in part.parts if isinstance(part, (Node, Opt)) else ():
        if isinstance(p, Opt):
            yield p
        yield from optionals(p)


def smaller(node):
    """Trees a little simpler than this one, the much simpler ones first."""
    if not isinstance(node, Node):
        return
    for d in descendants(node):
        if d.kind in ("v", "s", "r"):
            yield d
    for d in list(descendants(node)):
        for inner in descendants(d):
            if inner.kind == d.kind and inner is not d:
                yield replaced(node, d, inner)
        if d.kind == "v" and str(d) != "same":
            yield replaced(node, d, Node("v", "same"))
        if d.kind == "s" and str(d) != "1":
            yield replaced(node, d, Node("s", "1"))
    for o in optionals(node):
        yield replaced(node, o, None)
