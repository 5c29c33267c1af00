#include "discovery/http/json_api.h"

namespace narthex {

Async<Result<json::value>> FetchJson(const ApiClient& api, FetchRequest request) {
  constexpr size_t kShownMax = 512;
  const std::string what = request.method + " " + request.url;
  NARTHEX_CO_TRY(const FetchResponse answer, co_await api.Send(std::move(request)));
  if (answer.status_code / 100 != 2) {
    co_return MakeError(ErrorCode::kUnavailable, "{}: {}: {}", what, answer.status,
                        answer.body.substr(0, kShownMax));
  }
  Result<json::value> read = ParseJson(answer.body);
  if (!read.ok()) co_return read.status().WithPrefix(what + ": ");
  co_return read;
}

}  // namespace narthex
