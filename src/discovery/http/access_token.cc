#include "discovery/http/access_token.h"

#include <algorithm>
#include <cstdlib>

#include "util/json_reader.h"
#include "util/time.h"

namespace narthex {

std::optional<std::string> AccessToken::Kept() const {
  if (token_.empty() || api_.environment().loop->NowNanos() >= good_until_nanos_) {
    return std::nullopt;
  }
  return token_;
}

Async<Result<std::string>> AccessToken::Fetch(FetchRequest request) {
  NARTHEX_CO_TRY(const FetchResponse answer, co_await api_.Send(std::move(request)));
  co_return Keep(answer);
}

Result<std::string> AccessToken::Keep(const FetchResponse& answer) {
  constexpr size_t kShownMax = 512;
  constexpr int64_t kSecondsMax = 10LL * 365 * 24 * 3600;  // Keeps the product below in range.
  if (answer.status_code / 100 != 2) {
    return MakeError(ErrorCode::kUnavailable, "status {}: {}", answer.status,
                     answer.body.substr(0, kShownMax));
  }
  NARTHEX_TRY(const json::object said, ParseJsonObject(answer.body));
  std::string token = Text(said, "access_token");
  if (token.empty()) {
    return MakeError(ErrorCode::kInvalidInput, "server response missing access_token");
  }
  // Some write numbers as text, and some the time of the end instead.
  const auto number = [&](std::string_view name) {
    return static_cast<int64_t>(std::atoll(AsPrinted(Member(said, name)).c_str()));
  };
  int64_t seconds = number("expires_in");
  if (const int64_t end = number("expires_on"); seconds == 0 && end != 0) {
    seconds = end - Clock::System().NowNanos() / kNanosPerSecond;
  }
  const int64_t good_for = std::clamp<int64_t>(seconds, 0, kSecondsMax) - margin_seconds_;
  good_until_nanos_ = api_.environment().loop->NowNanos() + good_for * kNanosPerSecond;
  token_ = token;
  return token;
}

}  // namespace narthex
