// The C interface, as a C11 program that is linked with the shared library alone. Prints what is
// wrong and exits with 1.
#include <math.h>
#include <narthex/client/c.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static int failures = 0;

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      ++failures;                                                                                  \
      printf("c_test.c:%d: not so: %s (last error: %s)\n", __LINE__, #condition, narthex_error()); \
    }                                                                                              \
  } while (0)
#define OK(call) CHECK((call) == NARTHEX_OK)

// Compares the registry's page in one format.
static void ExpectPage(int line, const narthex_registry* registry, const char* accept,
                       const char* want) {
  narthex_response* response = NULL;
  if (narthex_scrape(registry, accept, 0, &response) != NARTHEX_OK ||
      strcmp(narthex_response_body(response, NULL), want) != 0) {
    ++failures;
    printf("c_test.c:%d: the page is\n%s\nand not\n%s\n", line,
           response != NULL ? narthex_response_body(response, NULL) : narthex_error(), want);
  }
  narthex_response_free(response);
}
#define EXPECT_PAGE(registry, accept, want) ExpectPage(__LINE__, registry, accept, want)

static void TestCountersAndGauges(void) {
  narthex_registry* registry = narthex_registry_new();
  narthex_counter* jobs = NULL;
  narthex_counter* same = NULL;
  narthex_gauge* level = NULL;
  const narthex_label where[] = {{"zone", "a"}};
  narthex_metric_options options = NARTHEX_METRIC("jobs_total", "Jobs done.");
  options.const_labels = where;
  options.const_label_count = 1;
  OK(narthex_counter_new(registry, &options, &jobs));
  OK(narthex_counter_new(registry, &options, &same));
  const narthex_metric_options gauge = NARTHEX_METRIC("level", "Level.");
  OK(narthex_gauge_new(registry, &gauge, &level));

  narthex_counter_inc(jobs);
  OK(narthex_counter_add(same, 1.5));
  CHECK(narthex_counter_add(jobs, -1) == NARTHEX_INVALID);
  CHECK(strcmp(narthex_error(), "counters only go up") == 0);
  CHECK(narthex_counter_add(jobs, (double)NAN) == NARTHEX_INVALID);
  narthex_gauge_set(level, 4);
  narthex_gauge_add(level, -1.5);
  CHECK(narthex_counter_value(jobs) == 2.5 && narthex_gauge_value(level) == 2.5);
  const narthex_label trace[] = {{"trace_id", "abc"}};
  OK(narthex_counter_add_exemplar(jobs, 1, trace, 1));
  const narthex_label wrong[] = {{"", "abc"}};
  CHECK(narthex_counter_add_exemplar(jobs, 1, wrong, 1) == NARTHEX_INVALID);
  EXPECT_PAGE(registry, NULL,
              "# HELP jobs_total Jobs done.\n# TYPE jobs_total counter\n"
              "jobs_total{zone=\"a\"} 4.5\n# HELP level Level.\n# TYPE level gauge\nlevel 2.5\n");

  double value = 0;
  OK(narthex_sample_value(registry, "jobs_total", where, 1, &value));
  CHECK(value == 4.5);
  CHECK(narthex_sample_value(registry, "jobs_total", NULL, 0, &value) == NARTHEX_NOT_FOUND);

  // What is wrong with declarations.
  const narthex_metric_options clash = NARTHEX_METRIC("level", "Something else.");
  narthex_gauge* none = NULL;
  CHECK(narthex_gauge_new(registry, &clash, &none) == NARTHEX_INCONSISTENT && none == NULL);
  const narthex_metric_options empty = NARTHEX_METRIC("", "Help.");
  CHECK(narthex_gauge_new(registry, &empty, &none) == NARTHEX_INVALID && none == NULL);
  CHECK(narthex_gauge_new(registry, NULL, &none) == NARTHEX_INVALID);
  CHECK(narthex_error()[0] != '\0');
  // A caller of an older header knows fewer members.
  const struct {
    size_t size;
    const char* name;
    const char* help;
  } old = {sizeof(old), "old", "Old."};
  OK(narthex_gauge_new(registry, (const narthex_metric_options*)(const void*)&old, &none));
  narthex_gauge_free(none);

  // Handles outlive the registry.
  narthex_registry_free(registry);
  narthex_counter_inc(jobs);
  CHECK(narthex_counter_value(same) == 5.5);
  narthex_counter_free(jobs);
  narthex_counter_free(same);
  narthex_gauge_free(level);
  narthex_counter_inc(NULL);
  narthex_counter_free(NULL);
}

static void TestDistributions(void) {
  narthex_registry* registry = narthex_registry_new();
  double bounds[3];
  OK(narthex_exponential_buckets(0.5, 2, 3, bounds));
  CHECK(bounds[0] == 0.5 && bounds[1] == 1 && bounds[2] == 2);
  OK(narthex_linear_buckets(1, 1, 3, bounds));
  CHECK(bounds[2] == 3);
  OK(narthex_exponential_range_buckets(1, 4, 3, bounds));
  CHECK(bounds[1] == 2);
  CHECK(narthex_exponential_buckets(0, 2, 3, bounds) == NARTHEX_INVALID);
  CHECK(narthex_linear_buckets(1, 0, 3, bounds) == NARTHEX_INVALID);

  narthex_histogram_options shape = NARTHEX_HISTOGRAM_INIT;
  shape.buckets = bounds;
  shape.bucket_count = 3;
  shape.native_factor = 1.1;
  const narthex_metric_options options = NARTHEX_METRIC("seconds", "Time.");
  narthex_histogram* seconds = NULL;
  OK(narthex_histogram_new(registry, &options, &shape, &seconds));
  const double start = narthex_now();
  CHECK(narthex_now() >= start);
  narthex_histogram_observe(seconds, 0.5);
  const narthex_label trace[] = {{"trace_id", "abc"}};
  OK(narthex_histogram_observe_exemplar(seconds, 3, trace, 1));
  narthex_snapshot* snapshot = NULL;
  OK(narthex_histogram_read(seconds, &snapshot));
  const narthex_histogram_value* value = narthex_snapshot_histogram(snapshot);
  CHECK(value->count == 2 && value->sum == 3.5);
  CHECK(value->bucket_count >= 3 && value->buckets[0].cumulative_count == 1 &&
        value->buckets[1].cumulative_count == 1 && value->buckets[2].cumulative_count == 2);
  CHECK(value->has_native && value->schema == 3 && value->positive_span_count == 2 &&
        value->positive_delta_count == 2);

  narthex_summary_options window = NARTHEX_SUMMARY_INIT;
  const narthex_objective median = {0.5, 0.05};
  window.objectives = &median;
  window.objective_count = 1;
  const narthex_metric_options size_options = NARTHEX_METRIC("size_bytes", "Size.");
  narthex_summary* size = NULL;
  OK(narthex_summary_new(registry, &size_options, &window, &size));
  narthex_summary_observe(size, 7);
  narthex_snapshot* sizes = NULL;
  OK(narthex_summary_read(size, &sizes));
  CHECK(narthex_snapshot_summary(sizes)->count == 1 &&
        narthex_snapshot_summary(sizes)->quantiles[0].value == 7);
  narthex_snapshot_free(sizes);

  // The same numbers on a page by hand.
  narthex_page* page = narthex_page_new();
  OK(narthex_page_family(page, NARTHEX_HISTOGRAM, "seconds", "Time.", NULL));
  OK(narthex_page_histogram(page, NULL, 0, value, NULL));
  CHECK(narthex_page_sample(page, NULL, 0, 1, NULL) == NARTHEX_INVALID);
  narthex_response* response = NULL;
  OK(narthex_page_show(page, "", 0, &response));
  CHECK(strcmp(narthex_response_body(response, NULL),
               "# HELP seconds Time.\n# TYPE seconds histogram\nseconds_bucket{le=\"1\"} 1\n"
               "seconds_bucket{le=\"2\"} 1\nseconds_bucket{le=\"4\"} 2\n"
               "seconds_bucket{le=\"+Inf\"} 2\nseconds_sum 3.5\nseconds_count 2\n") == 0);
  narthex_response_free(response);
  const char* protobuf =
      "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
  size_t bytes = 0;
  OK(narthex_page_show(page, protobuf, 0, &response));
  CHECK(strstr(narthex_response_content_type(response), "delimited") != NULL);
  narthex_response_body(response, &bytes);
  CHECK(bytes > 50);
  narthex_response_free(response);
  narthex_page_free(page);
  narthex_snapshot_free(snapshot);
  narthex_histogram_free(seconds);
  narthex_summary_free(size);
  narthex_registry_free(registry);
}

static void TestFamilies(void) {
  narthex_registry* registry = narthex_registry_new();
  const char* names[] = {"method", "code"};
  const char* get[] = {"GET", "200"};
  const char* post[] = {"POST", "500"};
  narthex_family* responses = NULL;
  narthex_metric_options options = NARTHEX_METRIC("responses_total", "Responses.");
  OK(narthex_counter_family_new(registry, &options, names, 2, &responses));
  narthex_counter* counter = NULL;
  OK(narthex_family_counter(responses, get, 2, &counter));
  narthex_counter_inc(counter);
  OK(narthex_family_add(responses, get, 2, 1));
  OK(narthex_family_add(responses, post, 2, 4));
  CHECK(narthex_family_size(responses) == 2);
  CHECK(narthex_family_add(responses, get, 1, 1) == NARTHEX_INVALID);
  CHECK(narthex_family_add(responses, get, 2, -1) == NARTHEX_INVALID);
  const char* broken[] = {"\xff", "200"};
  CHECK(narthex_family_add(responses, broken, 2, 1) == NARTHEX_INVALID);
  narthex_gauge* gauge = NULL;
  CHECK(narthex_family_gauge(responses, get, 2, &gauge) == NARTHEX_INVALID && gauge == NULL);
  EXPECT_PAGE(registry, NULL,
              "# HELP responses_total Responses.\n# TYPE responses_total counter\n"
              "responses_total{code=\"200\",method=\"GET\"} 2\n"
              "responses_total{code=\"500\",method=\"POST\"} 4\n");
  OK(narthex_family_remove(responses, post, 2));
  CHECK(narthex_family_remove(responses, post, 2) == NARTHEX_NOT_FOUND);
  OK(narthex_family_add(responses, post, 2, 4));
  const narthex_label failed[] = {{"code", "500"}};
  CHECK(narthex_family_remove_matching(responses, failed, 1) == 1);
  narthex_family_clear(responses);
  CHECK(narthex_family_size(responses) == 0);
  narthex_counter_inc(counter);  // Counts for nobody.
  narthex_counter_free(counter);
  narthex_family_free(responses);

  narthex_family* times = NULL;
  const narthex_metric_options seconds = NARTHEX_METRIC("seconds", "Time.");
  OK(narthex_summary_family_new(registry, &seconds, names, 2, NULL, &times));
  OK(narthex_family_observe(times, get, 2, 2.5));
  narthex_family* sizes = NULL;
  const narthex_metric_options bytes = NARTHEX_METRIC("bytes", "Size.");
  OK(narthex_histogram_family_new(registry, &bytes, names, 2, NULL, &sizes));
  OK(narthex_family_observe(sizes, get, 2, 2.5));
  double value = 0;
  const narthex_label labels[] = {{"method", "GET"}, {"code", "200"}};
  OK(narthex_sample_value(registry, "seconds_sum", labels, 2, &value));
  CHECK(value == 2.5);
  OK(narthex_sample_value(registry, "bytes_count", labels, 2, &value));
  CHECK(value == 1);
  narthex_family_free(times);
  narthex_family_free(sizes);
  narthex_registry_free(registry);
}

static void TestInfosAndStates(void) {
  narthex_registry* registry = narthex_registry_new();
  narthex_info* build = NULL;
  narthex_state_set* phase = NULL;
  const narthex_metric_options info = NARTHEX_METRIC("build_info", "Build.");
  const narthex_metric_options states = NARTHEX_METRIC("phase", "Phase.");
  const char* names[] = {"idle", "busy"};
  OK(narthex_info_new(registry, &info, &build));
  OK(narthex_state_set_new(registry, &states, names, 2, &phase));
  const narthex_label facts[] = {{"version", "1.2"}};
  const narthex_label twice[] = {{"a", "1"}, {"a", "2"}};
  OK(narthex_info_set(build, facts, 1));
  CHECK(narthex_info_set(build, twice, 2) == NARTHEX_INVALID);
  CHECK(narthex_state_set_is_on(phase, "idle"));
  OK(narthex_state_set_set(phase, "busy"));
  CHECK(narthex_state_set_set(phase, "gone") == NARTHEX_INVALID);
  OK(narthex_state_set_switch(phase, "idle", 1));
  CHECK(narthex_state_set_is_on(phase, "idle") && narthex_state_set_is_on(phase, "busy"));
  OK(narthex_state_set_switch(phase, "idle", 0));
  EXPECT_PAGE(registry, "application/openmetrics-text;version=1.0.0",
              "# HELP build Build.\n# TYPE build info\nbuild_info{version=\"1.2\"} 1.0\n"
              "# HELP phase Phase.\n# TYPE phase stateset\nphase{phase=\"idle\"} 0.0\n"
              "phase{phase=\"busy\"} 1.0\n# EOF\n");
  narthex_info_free(build);
  narthex_state_set_free(phase);
  narthex_registry_free(registry);
}

static int released = 0;

static void Collect(void* context, narthex_page* page) {
  const narthex_label labels[] = {{"disk", "a"}};
  narthex_sample_options options = NARTHEX_SAMPLE_INIT;
  options.has_timestamp = 1;
  options.timestamp_ms = 1500;
  OK(narthex_page_family(page, NARTHEX_GAUGE, "free_bytes", "Free.", "bytes"));
  OK(narthex_page_sample(page, labels, 1, *(const double*)context, &options));
  OK(narthex_page_family(page, NARTHEX_SUMMARY, "io_seconds", "Input and output.", NULL));
  const narthex_summary_value value = {sizeof(value), 3, 1.5, NULL, 0};
  OK(narthex_page_summary(page, labels, 1, &value, NULL));
}

static double Read(void* context) {
  return *(const double*)context;
}

static void Release(void* context) {
  (void)context;
  ++released;
}

static size_t Trace(void* context, narthex_label* out, size_t capacity) {
  (void)context;
  out[0].name = "trace_id";
  out[0].value = "hooked";
  return capacity > 0 ? 1 : 0;
}

static void TestCallbacks(void) {
  narthex_registry* registry = narthex_registry_new();
  double number = 42;
  narthex_collector* collector = NULL;
  narthex_collector* length = NULL;
  OK(narthex_collector_new(registry, Collect, &number, Release, &collector));
  const narthex_metric_options options = NARTHEX_METRIC("queue_length", "Waiting.");
  OK(narthex_function_new(registry, NARTHEX_GAUGE, &options, Read, &number, Release, &length));
  narthex_collector* clash = NULL;
  CHECK(narthex_function_new(registry, NARTHEX_GAUGE, &options, Read, &number, NULL, &clash) !=
            NARTHEX_OK &&
        clash == NULL);
  CHECK(narthex_function_new(registry, NARTHEX_HISTOGRAM, &options, Read, &number, NULL, &clash) ==
        NARTHEX_INVALID);
  EXPECT_PAGE(registry, NULL,
              "# HELP free_bytes Free.\n# TYPE free_bytes gauge\nfree_bytes{disk=\"a\"} 42 1500\n"
              "# HELP io_seconds Input and output.\n# TYPE io_seconds summary\n"
              "io_seconds_sum{disk=\"a\"} 1.5\nio_seconds_count{disk=\"a\"} 3\n"
              "# HELP queue_length Waiting.\n# TYPE queue_length gauge\nqueue_length 42\n");
  narthex_collector_free(collector);
  narthex_collector_free(length);
  CHECK(released == 2);
  EXPECT_PAGE(registry, NULL, "");

  OK(narthex_set_exemplar_hook(Trace, NULL, 0.001));
  narthex_counter* counter = NULL;
  const narthex_metric_options traced = NARTHEX_METRIC("traced_total", "Traced.");
  OK(narthex_counter_new(registry, &traced, &counter));
  narthex_counter_inc(counter);
  OK(narthex_set_exemplar_hook(NULL, NULL, 0));
  narthex_response* response = NULL;
  OK(narthex_scrape(registry, "application/openmetrics-text;version=1.0.0", NARTHEX_CREATED_LINES,
                    &response));
  CHECK(strstr(narthex_response_body(response, NULL), "{trace_id=\"hooked\"} 1.0") != NULL);
  CHECK(strstr(narthex_response_body(response, NULL), "traced_created ") != NULL);
  narthex_response_free(response);

  narthex_counter_free(counter);
  narthex_registry_free(registry);
}

enum { kThreads = 4, kRounds = 50000 };

static void* Count(void* counter) {
  for (int i = 0; i < kRounds; ++i) narthex_counter_inc(counter);
  return NULL;
}

static void TestThreads(void) {
  narthex_counter* counter = NULL;
  const narthex_metric_options options = NARTHEX_METRIC("x_total", "X.");
  OK(narthex_counter_new(NULL, &options, &counter));
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) pthread_create(&threads[i], NULL, Count, counter);
  for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
  CHECK(narthex_counter_value(counter) == (double)(kThreads * kRounds));
  narthex_counter_free(counter);
}

static void TestNetwork(void) {
  narthex_registry* registry = narthex_registry_new();
  OK(narthex_register_process(registry));
  OK(narthex_register_platform(registry));
  CHECK(narthex_register_process(registry) != NARTHEX_OK);
  narthex_exposer* exposer = NULL;
  CHECK(narthex_exposer_start("nonsense", registry, NULL, &exposer) != NARTHEX_OK);
  narthex_exposer_options options = NARTHEX_EXPOSER_INIT;
  options.certificate_file = "/nonexistent/certificate";
  options.key_file = "/nonexistent/key";
  CHECK(narthex_exposer_start("127.0.0.1:0", registry, &options, &exposer) != NARTHEX_OK &&
        exposer == NULL);
  OK(narthex_exposer_start("127.0.0.1:0", registry, NULL, &exposer));
  CHECK(narthex_exposer_port(exposer) != 0);

  // The exposer refuses pushes, which shows that a push arrived somewhere.
  char url[64];
  snprintf(url, sizeof(url), "127.0.0.1:%d", narthex_exposer_port(exposer));
  narthex_push_options push = NARTHEX_PUSH_INIT;
  push.url = url;
  push.job = "batch";
  push.attempts = 1;
  CHECK(narthex_push(registry, &push) != NARTHEX_OK);
  CHECK(strstr(narthex_error(), "unexpected status code 4") != NULL);
  CHECK(narthex_push_delete(&push) != NARTHEX_OK);
  push.job = "";
  CHECK(narthex_push_add(registry, &push) != NARTHEX_OK);
  CHECK(narthex_push(registry, NULL) == NARTHEX_INVALID);
  CHECK(narthex_write_textfile(registry, "/nonexistent/folder/x.prom") == NARTHEX_IO);
  CHECK(narthex_graphite_send(registry, "127.0.0.1:1", NULL, 0, 1) != NARTHEX_OK);
  narthex_exposer_free(exposer);
  narthex_registry_free(registry);
}

int main(void) {
  TestCountersAndGauges();
  TestDistributions();
  TestFamilies();
  TestInfosAndStates();
  TestCallbacks();
  TestThreads();
  TestNetwork();
  printf("%d wrong\n", failures);
  return failures != 0;
}
