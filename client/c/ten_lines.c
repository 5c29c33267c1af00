// The shortest program that can be scraped: curl localhost:8080/metrics
#include <narthex/client/c.h>
#include <stdio.h>
#include <threads.h>

int main(void) {
  narthex_counter* ticks = NULL;
  narthex_exposer* exposer = NULL;
  const narthex_metric_options options = NARTHEX_METRIC("ticks_total", "Seconds seen so far.");
  if (narthex_counter_new(narthex_default_registry(), &options, &ticks) != NARTHEX_OK ||
      narthex_exposer_start(":8080", narthex_default_registry(), NULL, &exposer) != NARTHEX_OK) {
    return fprintf(stderr, "%s\n", narthex_error()), 1;
  }
  for (;; narthex_counter_inc(ticks)) thrd_sleep(&(struct timespec){.tv_sec = 1}, NULL);
}
