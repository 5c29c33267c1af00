// The client library for C, and for languages that call C: the shared library narthex_client_c.
//
//   narthex_counter* jobs = NULL;
//   const narthex_metric_options options = NARTHEX_METRIC("jobs_total", "Jobs done.");
//   if (narthex_counter_new(narthex_default_registry(), &options, &jobs) != NARTHEX_OK) {
//     fputs(narthex_error(), stderr);
//   }
//   narthex_counter_inc(jobs);
//
// Errors: functions that can fail return a narthex_code and leave their results alone then;
// narthex_error() has the text. Nothing throws and nothing aborts.
// Objects: opaque, made by `_new` and friends, given back to `_free` once; NULL may be freed. A
// handle outlives its family and registry. Handles of one metric count into the same number.
// Texts: UTF-8, ended by NUL; the library keeps copies. A label value that is no UTF-8 is an error.
// Units: seconds and bytes; timestamps of samples are milliseconds since the Unix epoch.
// Threads: everything may be called from all threads, but an object must not be freed while another
// thread uses that same handle. Not for signal handlers.
// Binary interface: functions are never removed or changed within one soname. Structures begin with
// their size, so that they can grow: NARTHEX_METRIC() and the _INIT values fill it in, everything
// that is left out being the default.
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define NARTHEX_API __attribute__((visibility("default")))
#else
#define NARTHEX_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum narthex_code {
  NARTHEX_OK = 0,
  NARTHEX_INVALID = 1,             // A name, label, option or value breaks a rule.
  NARTHEX_ALREADY_REGISTERED = 2,  // The registry has an equal collector.
  NARTHEX_INCONSISTENT = 3,        // The registry has the name with other labels, help or type.
  NARTHEX_IO = 4,                  // The operating system, or the other side, refused.
  NARTHEX_NO_MEMORY = 5,
  NARTHEX_NOT_FOUND = 6
} narthex_code;

// What went wrong in the last call of this thread that failed. Never NULL; good until the next
// failing call of the thread.
NARTHEX_API const char* narthex_error(void);

typedef struct narthex_label {
  const char* name;
  const char* value;
} narthex_label;

// ---- Registries ----

typedef struct narthex_registry narthex_registry;

// Shared by everything in the process that uses this library. Must not be freed.
NARTHEX_API narthex_registry* narthex_default_registry(void);
// NULL when there is no memory.
NARTHEX_API narthex_registry* narthex_registry_new(void);
NARTHEX_API void narthex_registry_free(narthex_registry* registry);

// process_cpu_seconds_total and its like; cpp_info and the allocator's bytes.
NARTHEX_API narthex_code narthex_register_process(narthex_registry* registry);
NARTHEX_API narthex_code narthex_register_platform(narthex_registry* registry);

// ---- Declarations ----

typedef struct narthex_metric_options {
  size_t size;
  const char* name;  // With its unit and `_total`: http_request_duration_seconds, errors_total.
  const char* help;
  const char* unit;  // For OpenMetrics; then the name must end with it. NULL: none.
  const narthex_label* const_labels;  // The same for all series of this declaration.
  size_t const_label_count;
  // Families: how many series there may be; whatever comes then counts in one more, all of whose
  // label values are `overflow`. 0: no limit.
  size_t series_max;
} narthex_metric_options;

#define NARTHEX_METRIC(name, help) {sizeof(narthex_metric_options), (name), (help), 0, 0, 0, 0}

typedef struct narthex_histogram_options {
  size_t size;
  // Upper bounds, strictly ascending; +Inf may be left out. Without any, and without native
  // buckets: 0.005 … 10. These are what a server stores as custom buckets if it is told to.
  const double* buckets;
  size_t bucket_count;
  // Above 1: native buckets, each at most this factor wider than the one below.
  double native_factor;
  // Observations up to this far from 0 count as zero. 0: 2^-128; below 0: exactly 0.
  double native_zero_threshold;
  uint32_t native_max_buckets;         // 0: no limit. Over it, in this order:
  double native_min_reset_seconds;     // reset if at least this old (0: never);
  double native_max_zero_threshold;    // widen the zero bucket up to here; halve the resolution.
  int native_max_exemplars;            // 0: 10; below 0: none.
  double native_exemplar_ttl_seconds;  // 0: 300.
} narthex_histogram_options;
#define NARTHEX_HISTOGRAM_INIT {sizeof(narthex_histogram_options), 0, 0, 0, 0, 0, 0, 0, 0, 0}

typedef struct narthex_objective {
  double quantile;  // (0, 1)
  double error;     // The rank is off by at most this share of all observations.
} narthex_objective;

typedef struct narthex_summary_options {
  size_t size;
  const narthex_objective* objectives;  // None: sum and count alone, which is much cheaper.
  size_t objective_count;
  double max_age_seconds;  // The window of quantiles. 0: 600.
  unsigned age_buckets;    // In so many steps it slides. 0: 5.
} narthex_summary_options;
#define NARTHEX_SUMMARY_INIT {sizeof(narthex_summary_options), 0, 0, 0, 0}

// Fill `out`, which has room for `count` bounds: start, start + width, …; start, start * factor, …;
// from min to max by one factor. Fail when bounds would not ascend.
NARTHEX_API narthex_code narthex_linear_buckets(double start, double width, size_t count,
                                                double* out);
NARTHEX_API narthex_code narthex_exponential_buckets(double start, double factor, size_t count,
                                                     double* out);
NARTHEX_API narthex_code narthex_exponential_range_buckets(double min, double max, size_t count,
                                                           double* out);

typedef struct narthex_counter narthex_counter;
typedef struct narthex_gauge narthex_gauge;
typedef struct narthex_histogram narthex_histogram;
typedef struct narthex_summary narthex_summary;
typedef struct narthex_info narthex_info;
typedef struct narthex_state_set narthex_state_set;

// Declare a metric without labels. `registry` may be NULL: then it is on no page. Declaring an
// equal metric again gives another handle of it. The last argument but one may be NULL (defaults),
// save for state sets, which need their states.
NARTHEX_API narthex_code narthex_counter_new(narthex_registry* registry,
                                             const narthex_metric_options* options,
                                             narthex_counter** out);
NARTHEX_API narthex_code narthex_gauge_new(narthex_registry* registry,
                                           const narthex_metric_options* options,
                                           narthex_gauge** out);
NARTHEX_API narthex_code narthex_histogram_new(narthex_registry* registry,
                                               const narthex_metric_options* options,
                                               const narthex_histogram_options* histogram,
                                               narthex_histogram** out);
NARTHEX_API narthex_code narthex_summary_new(narthex_registry* registry,
                                             const narthex_metric_options* options,
                                             const narthex_summary_options* summary,
                                             narthex_summary** out);
NARTHEX_API narthex_code narthex_info_new(narthex_registry* registry,
                                          const narthex_metric_options* options,
                                          narthex_info** out);
NARTHEX_API narthex_code narthex_state_set_new(narthex_registry* registry,
                                               const narthex_metric_options* options,
                                               const char* const* states, size_t state_count,
                                               narthex_state_set** out);
NARTHEX_API void narthex_counter_free(narthex_counter* counter);
NARTHEX_API void narthex_gauge_free(narthex_gauge* gauge);
NARTHEX_API void narthex_histogram_free(narthex_histogram* histogram);
NARTHEX_API void narthex_summary_free(narthex_summary* summary);
NARTHEX_API void narthex_info_free(narthex_info* info);
NARTHEX_API void narthex_state_set_free(narthex_state_set* state_set);

// ---- Families: metrics of one name that differ in their label values ----

typedef struct narthex_family narthex_family;

NARTHEX_API narthex_code narthex_counter_family_new(narthex_registry* registry,
                                                    const narthex_metric_options* options,
                                                    const char* const* label_names,
                                                    size_t label_count, narthex_family** out);
NARTHEX_API narthex_code narthex_gauge_family_new(narthex_registry* registry,
                                                  const narthex_metric_options* options,
                                                  const char* const* label_names,
                                                  size_t label_count, narthex_family** out);
NARTHEX_API narthex_code narthex_histogram_family_new(narthex_registry* registry,
                                                      const narthex_metric_options* options,
                                                      const char* const* label_names,
                                                      size_t label_count,
                                                      const narthex_histogram_options* histogram,
                                                      narthex_family** out);
NARTHEX_API narthex_code narthex_summary_family_new(narthex_registry* registry,
                                                    const narthex_metric_options* options,
                                                    const char* const* label_names,
                                                    size_t label_count,
                                                    const narthex_summary_options* summary,
                                                    narthex_family** out);
NARTHEX_API narthex_code narthex_info_family_new(narthex_registry* registry,
                                                 const narthex_metric_options* options,
                                                 const char* const* label_names, size_t label_count,
                                                 narthex_family** out);
NARTHEX_API narthex_code narthex_state_set_family_new(narthex_registry* registry,
                                                      const narthex_metric_options* options,
                                                      const char* const* label_names,
                                                      size_t label_count, const char* const* states,
                                                      size_t state_count, narthex_family** out);
// The series stay on the page until they are removed.
NARTHEX_API void narthex_family_free(narthex_family* family);

// The metric with these label values, in the order of the label names; made when new. A look-up
// costs about 60 ns and an allocation: keep the handle where it matters. Fails for a family of
// another type and for a wrong number of values.
NARTHEX_API narthex_code narthex_family_counter(const narthex_family* family,
                                                const char* const* values, size_t value_count,
                                                narthex_counter** out);
NARTHEX_API narthex_code narthex_family_gauge(const narthex_family* family,
                                              const char* const* values, size_t value_count,
                                              narthex_gauge** out);
NARTHEX_API narthex_code narthex_family_histogram(const narthex_family* family,
                                                  const char* const* values, size_t value_count,
                                                  narthex_histogram** out);
NARTHEX_API narthex_code narthex_family_summary(const narthex_family* family,
                                                const char* const* values, size_t value_count,
                                                narthex_summary** out);
NARTHEX_API narthex_code narthex_family_info(const narthex_family* family,
                                             const char* const* values, size_t value_count,
                                             narthex_info** out);
NARTHEX_API narthex_code narthex_family_state_set(const narthex_family* family,
                                                  const char* const* values, size_t value_count,
                                                  narthex_state_set** out);
// The same without a handle, for code that counts once: look up and count.
NARTHEX_API narthex_code narthex_family_add(const narthex_family* family, const char* const* values,
                                            size_t value_count, double amount);
NARTHEX_API narthex_code narthex_family_observe(const narthex_family* family,
                                                const char* const* values, size_t value_count,
                                                double value);

// NARTHEX_NOT_FOUND when there was no such series.
NARTHEX_API narthex_code narthex_family_remove(const narthex_family* family,
                                               const char* const* values, size_t value_count);
// Every series that has all these labels; gives their number.
NARTHEX_API size_t narthex_family_remove_matching(const narthex_family* family,
                                                  const narthex_label* labels, size_t label_count);
NARTHEX_API void narthex_family_clear(const narthex_family* family);
NARTHEX_API size_t narthex_family_size(const narthex_family* family);

// ---- Counting. NULL handles count nothing. ----

NARTHEX_API void narthex_counter_inc(const narthex_counter* counter);
// Fails, and counts nothing, when `amount` is negative or NaN.
NARTHEX_API narthex_code narthex_counter_add(const narthex_counter* counter, double amount);
// Counts, and remembers the labels (a trace id, say) as the newest example. Counts even when they
// are refused: over 128 characters in all, or an invalid name.
NARTHEX_API narthex_code narthex_counter_add_exemplar(const narthex_counter* counter, double amount,
                                                      const narthex_label* labels,
                                                      size_t label_count);
NARTHEX_API double narthex_counter_value(const narthex_counter* counter);

NARTHEX_API void narthex_gauge_set(const narthex_gauge* gauge, double value);
NARTHEX_API void narthex_gauge_add(const narthex_gauge* gauge, double amount);
NARTHEX_API void narthex_gauge_set_to_current_time(const narthex_gauge* gauge);
NARTHEX_API double narthex_gauge_value(const narthex_gauge* gauge);

NARTHEX_API void narthex_histogram_observe(const narthex_histogram* histogram, double value);
NARTHEX_API narthex_code narthex_histogram_observe_exemplar(const narthex_histogram* histogram,
                                                            double value,
                                                            const narthex_label* labels,
                                                            size_t label_count);
// How many fell into each classic bucket, +Inf last, counted elsewhere; and their sum.
NARTHEX_API narthex_code narthex_histogram_observe_buckets(const narthex_histogram* histogram,
                                                           const uint64_t* counts,
                                                           size_t bucket_count, double sum);
NARTHEX_API void narthex_summary_observe(const narthex_summary* summary, double value);

// Seconds of the monotonic clock, to measure with:
//   const double start = narthex_now();  …;  narthex_histogram_observe(h, narthex_now() - start);
NARTHEX_API double narthex_now(void);

// Takes the place of all facts before; on an error those stay.
NARTHEX_API narthex_code narthex_info_set(const narthex_info* info, const narthex_label* facts,
                                          size_t fact_count);
// This state on and all others off; fails on a state that was not declared.
NARTHEX_API narthex_code narthex_state_set_set(const narthex_state_set* state_set,
                                               const char* state);
// One state on (1) or off (0); the others stay.
NARTHEX_API narthex_code narthex_state_set_switch(const narthex_state_set* state_set,
                                                  const char* state, int on);
NARTHEX_API int narthex_state_set_is_on(const narthex_state_set* state_set, const char* state);

// Called inside of counting and observing, by the thread that counts: writes up to `capacity`
// labels of what that thread works on and gives their number; 0: nothing worth showing. The texts
// must stay until the thread's next call. Each counter and bucket asks at most once an interval.
// NULL ends it.
typedef size_t (*narthex_exemplar_function)(void* context, narthex_label* out, size_t capacity);
NARTHEX_API narthex_code narthex_set_exemplar_hook(narthex_exemplar_function function,
                                                   void* context, double interval_seconds);

// ---- Pages by hand: numbers that others count ----

typedef enum narthex_type {
  NARTHEX_COUNTER = 0,
  NARTHEX_GAUGE = 1,
  NARTHEX_SUMMARY = 2,
  NARTHEX_UNTYPED = 3,
  NARTHEX_HISTOGRAM = 4,
  NARTHEX_GAUGE_HISTOGRAM = 5,
  NARTHEX_INFO = 6,
  NARTHEX_STATE_SET = 7
} narthex_type;

typedef struct narthex_exemplar {
  const narthex_label* labels;
  size_t label_count;
  double value;
  int has_time;
  double unix_seconds;
} narthex_exemplar;

// What comes with some samples only; NULL where a function takes it: none of it.
typedef struct narthex_sample_options {
  size_t size;
  int has_timestamp;
  int64_t timestamp_ms;  // When it was measured; leave out for "now".
  int has_created;
  double created_unix_seconds;       // When it was 0: counters, summaries, histograms.
  const narthex_exemplar* exemplar;  // Counters.
} narthex_sample_options;
#define NARTHEX_SAMPLE_INIT {sizeof(narthex_sample_options), 0, 0, 0, 0, 0}

typedef struct narthex_bucket {
  double upper_bound;
  uint64_t cumulative_count;
  const narthex_exemplar* exemplar;  // May be NULL.
} narthex_bucket;
// `length` native buckets in a row, `offset` after the span before.
typedef struct narthex_span {
  int32_t offset;
  uint32_t length;
} narthex_span;
typedef struct narthex_histogram_value {
  size_t size;
  uint64_t count;
  double sum;
  const narthex_bucket* buckets;  // Ascending; +Inf may be left out.
  size_t bucket_count;
  int has_native;  // Whether what follows says anything.
  int32_t schema;
  double zero_threshold;
  uint64_t zero_count;
  const narthex_span* positive_spans;
  size_t positive_span_count;
  const int64_t* positive_deltas;
  size_t positive_delta_count;
  const narthex_span* negative_spans;
  size_t negative_span_count;
  const int64_t* negative_deltas;
  size_t negative_delta_count;
} narthex_histogram_value;

typedef struct narthex_quantile {
  double quantile;
  double value;
} narthex_quantile;
typedef struct narthex_summary_value {
  size_t size;
  uint64_t count;
  double sum;
  const narthex_quantile* quantiles;
  size_t quantile_count;
} narthex_summary_value;

// What a histogram or summary has now. The values live as long as the snapshot.
typedef struct narthex_snapshot narthex_snapshot;
NARTHEX_API narthex_code narthex_histogram_read(const narthex_histogram* histogram,
                                                narthex_snapshot** out);
NARTHEX_API narthex_code narthex_summary_read(const narthex_summary* summary,
                                              narthex_snapshot** out);
NARTHEX_API const narthex_histogram_value* narthex_snapshot_histogram(const narthex_snapshot* s);
NARTHEX_API const narthex_summary_value* narthex_snapshot_summary(const narthex_snapshot* s);
NARTHEX_API void narthex_snapshot_free(narthex_snapshot* snapshot);

// A page to write families on; samples belong to the family that was begun last. Names are checked
// when the page is shown, not here. One thread at a time.
typedef struct narthex_page narthex_page;
NARTHEX_API narthex_code narthex_page_family(narthex_page* page, narthex_type type,
                                             const char* name, const char* help, const char* unit);
NARTHEX_API narthex_code narthex_page_sample(narthex_page* page, const narthex_label* labels,
                                             size_t label_count, double value,
                                             const narthex_sample_options* options);
NARTHEX_API narthex_code narthex_page_histogram(narthex_page* page, const narthex_label* labels,
                                                size_t label_count,
                                                const narthex_histogram_value* value,
                                                const narthex_sample_options* options);
NARTHEX_API narthex_code narthex_page_summary(narthex_page* page, const narthex_label* labels,
                                              size_t label_count,
                                              const narthex_summary_value* value,
                                              const narthex_sample_options* options);
// A page of one's own; shown as it is: in the order written, unchecked.
NARTHEX_API narthex_page* narthex_page_new(void);
NARTHEX_API void narthex_page_free(narthex_page* page);

// Called at each scrape, from the threads that scrape, several at a time. Must not register
// anything.
typedef void (*narthex_collect_function)(void* context, narthex_page* page);
// Called once, when nobody will use the context any more. May be NULL.
typedef void (*narthex_release_function)(void* context);
typedef double (*narthex_value_function)(void* context);

typedef struct narthex_collector narthex_collector;
// From now on the function's families are on the registry's page.
NARTHEX_API narthex_code narthex_collector_new(narthex_registry* registry,
                                               narthex_collect_function collect, void* context,
                                               narthex_release_function release,
                                               narthex_collector** out);
// A counter, gauge or untyped metric whose value is asked for at each scrape, one at a time.
NARTHEX_API narthex_code narthex_function_new(narthex_registry* registry, narthex_type type,
                                              const narthex_metric_options* options,
                                              narthex_value_function function, void* context,
                                              narthex_release_function release,
                                              narthex_collector** out);
// Takes it off the page. A scrape that is running may still be inside of a collect function;
// functions of values are waited for.
NARTHEX_API void narthex_collector_free(narthex_collector* collector);

// ---- Showing pages ----

enum { NARTHEX_CREATED_LINES = 1 };  // `_created` samples in OpenMetrics.

typedef struct narthex_response narthex_response;
// The registry's page in the format that the Accept header asks for (NULL: text): text,
// OpenMetrics or protobuf, with the escaping scheme. What clashes is left out and named.
NARTHEX_API narthex_code narthex_scrape(const narthex_registry* registry, const char* accept,
                                        unsigned flags, narthex_response** out);
NARTHEX_API narthex_code narthex_page_show(const narthex_page* page, const char* accept,
                                           unsigned flags, narthex_response** out);
NARTHEX_API const char* narthex_response_content_type(const narthex_response* response);
// Also ended by a NUL, which is not counted.
NARTHEX_API const char* narthex_response_body(const narthex_response* response, size_t* size);
NARTHEX_API size_t narthex_response_error_count(const narthex_response* response);
NARTHEX_API const char* narthex_response_error(const narthex_response* response, size_t index);
NARTHEX_API void narthex_response_free(narthex_response* response);

// In the text format, beside the path and renamed, for a node exporter's textfile collector.
NARTHEX_API narthex_code narthex_write_textfile(const narthex_registry* registry, const char* path);

// For tests: the value of one sample as the text format shows it; NARTHEX_NOT_FOUND without it.
NARTHEX_API narthex_code narthex_sample_value(const narthex_registry* registry, const char* name,
                                              const narthex_label* labels, size_t label_count,
                                              double* out);

// ---- Over the network ----

typedef struct narthex_exposer narthex_exposer;
// Gives not 0 when the password is right. From any thread.
typedef int (*narthex_authenticate_function)(void* context, const char* user, const char* password);
typedef struct narthex_exposer_options {
  size_t size;
  const char* path;              // NULL: /metrics
  const char* certificate_file;  // PEM; with key_file: HTTPS.
  const char* key_file;
  const char* client_ca_file;  // Clients must show a certificate that one of these has signed.
  narthex_authenticate_function authenticate;  // Basic authentication.
  void* authenticate_context;
  int threads;          // 0: 1
  int connections_max;  // 0: 64
  unsigned flags;       // NARTHEX_CREATED_LINES
} narthex_exposer_options;
#define NARTHEX_EXPOSER_INIT {sizeof(narthex_exposer_options), 0, 0, 0, 0, 0, 0, 0, 0, 0}
// A small HTTP server on `host:port`, `[v6]:port` or `:port`; port 0: any free one. `registry`
// outlives it. `options` may be NULL.
NARTHEX_API narthex_code narthex_exposer_start(const char* address,
                                               const narthex_registry* registry,
                                               const narthex_exposer_options* options,
                                               narthex_exposer** out);
NARTHEX_API uint16_t narthex_exposer_port(const narthex_exposer* exposer);
// Waits for requests that run.
NARTHEX_API void narthex_exposer_free(narthex_exposer* exposer);

typedef struct narthex_push_options {
  size_t size;
  const char* url;  // `http://` may be left out.
  const char* job;
  const narthex_label* grouping;  // Values may be empty or hold slashes.
  size_t grouping_count;
  const char* user;  // Basic authentication when not NULL.
  const char* password;
  const char* ca_file;           // https: NULL: the system's authorities.
  const char* certificate_file;  // The client's own, if it is asked for one.
  const char* key_file;
  double timeout_seconds;  // For each attempt. 0: 10.
  int attempts;            // 0: 3
} narthex_push_options;
#define NARTHEX_PUSH_INIT {sizeof(narthex_push_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
// PUT: takes the place of all metrics of the group. POST: of those with the same names. DELETE: the
// group goes. They block until the answer; transport errors, 429 and 5xx are tried again.
NARTHEX_API narthex_code narthex_push(const narthex_registry* registry,
                                      const narthex_push_options* options);
NARTHEX_API narthex_code narthex_push_add(const narthex_registry* registry,
                                          const narthex_push_options* options);
NARTHEX_API narthex_code narthex_push_delete(const narthex_push_options* options);

// Sends once to the plain-text listener of Graphite at host:port. `prefix` may be NULL; with `tags`
// labels are tags. 0 seconds: 15.
NARTHEX_API narthex_code narthex_graphite_send(const narthex_registry* registry,
                                               const char* address, const char* prefix, int tags,
                                               double timeout_seconds);

#ifdef __cplusplus
}
#endif
