#include <narthex/client/c.h>
#include <stdio.h>

int main(void) {
  narthex_counter* jobs = NULL;
  narthex_response* page = NULL;
  const narthex_metric_options options = NARTHEX_METRIC("jobs_total", "Jobs done.");
  if (narthex_counter_new(narthex_default_registry(), &options, &jobs) != NARTHEX_OK) return 1;
  narthex_counter_inc(jobs);
  if (narthex_counter_add(jobs, 1) != NARTHEX_OK) return 2;
  if (narthex_scrape(narthex_default_registry(), NULL, 0, &page) != NARTHEX_OK) return 3;
  fputs(narthex_response_body(page, NULL), stdout);
  narthex_response_free(page);
  narthex_counter_free(jobs);
  return 0;
}
