// Written for prometheus-cpp.
#include <iostream>

#include <prometheus/counter.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

int main() {
  prometheus::Registry registry;
  prometheus::BuildCounter().Name("c_total").Help("C.").Register(registry).Add({{"a", "b"}}).Increment();
  prometheus::TextSerializer().Serialize(std::cout, registry.Collect());
}
