#include "exposition/parser.h"

namespace narthex::exposition {
namespace {

class UnsupportedParser final : public Parser {
 public:
  Entry Next() override {
    return Fail(MakeError(ErrorCode::kUnsupported, "OpenMetrics 2.0 is not supported yet"));
  }
  Labels SeriesLabels() override { return {}; }
  bool NextExemplar(Exemplar*) override { return false; }
  int64_t StartTimestampMs() override { return 0; }
};

}  // namespace

std::unique_ptr<Parser> CreateOpenMetrics2Parser(std::string_view, const ParserOptions&) {
  return std::make_unique<UnsupportedParser>();
}

}  // namespace narthex::exposition
