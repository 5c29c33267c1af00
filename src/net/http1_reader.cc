#include "net/http1_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::net {
namespace {

constexpr std::string_view kBroken = "net/http: HTTP/1.x transport connection broken: ";
constexpr size_t kLineBytesMax = 4096;  // Of a chunk's size with its extensions.
constexpr size_t kFirstBodyBytes = 16 << 10;

Status Broken(std::string_view what) {
  return Status(ErrorCode::kIo, std::string(kBroken) + std::string(what));
}

bool EqualsIgnoringCase(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() &&
         std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? static_cast<char>(x | 0x20) : x) == y;
         });
}

// Whether a list of tokens, "keep-alive, Upgrade", has this one.
bool HasToken(std::string_view list, std::string_view token) {
  for (const std::string_view part : Split(list, ',')) {
    if (EqualsIgnoringCase(TrimSpace(part), token)) return true;
  }
  return false;
}

Status BodyTooLarge() {
  return Status(ErrorCode::kLimitExceeded, "body size limit exceeded");
}

}  // namespace

void Http1Reader::Begin(bool head_request, size_t body_bytes_max,
                        const std::function<bool(std::string_view)>* on_data,
                        BodyBuffers* buffers) {
  state_ = State::kHead;
  head_request_ = head_request;
  body_bytes_max_ = body_bytes_max;
  on_data_ = on_data;
  buffers_ = buffers;
  keep_alive_ = false;
  status_ = 0;
  head_.clear();
  line_bytes_ = 0;
  remaining_ = 0;
  response_ = HttpClientResponse();
  body_.clear();
  filled_ = 0;
}

HttpClientResponse Http1Reader::TakeResponse() {
  response_.status = status_;
  if (filled_ < body_.size()) body_.resize(filled_);
  response_.body = std::move(body_);
  body_.clear();
  filled_ = 0;
  return std::move(response_);
}

void Http1Reader::Drop() {
  if (buffers_ != nullptr) buffers_->Give(std::move(body_));
  body_.clear();
  filled_ = 0;
  response_ = HttpClientResponse();
  state_ = State::kDone;
}

// ---------------------------------------------------------------------------------------------
// Head
// ---------------------------------------------------------------------------------------------

Status Http1Reader::ParseField(std::string_view line, bool* chunked, bool* has_length,
                               uint64_t* length) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) {
    return Broken("malformed MIME header: missing colon: " + GoQuote(line));
  }
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = TrimSpace(line.substr(colon + 1));
  if (name.empty() || name.find_first_of(" \t") != std::string_view::npos) {
    return Broken("malformed MIME header line: " + std::string(line));
  }
  if (EqualsIgnoringCase(name, "content-length")) {
    const auto parsed = ParseUint(value);
    constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
    if (!parsed || *parsed > kMax || (*has_length && *parsed != *length)) {
      return Broken("bad Content-Length " + GoQuote(value));
    }
    *has_length = true;
    *length = *parsed;
  } else if (EqualsIgnoringCase(name, "transfer-encoding")) {
    if (!EqualsIgnoringCase(value, "chunked")) {
      return Broken("unsupported transfer encoding: " + GoQuote(value));
    }
    *chunked = true;
  } else if (EqualsIgnoringCase(name, "connection")) {
    if (HasToken(value, "close")) keep_alive_ = false;
    if (http_1_0_ && HasToken(value, "keep-alive")) keep_alive_ = true;
  }
  response_.headers.Add(std::string(name), std::string(value));
  return {};
}

Status Http1Reader::ParseHead(std::string_view head) {
  const auto next_line = [&head] {
    const size_t end = head.find('\n');
    std::string_view line = head.substr(0, end);
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  };
  const std::string_view first = next_line();
  const size_t space = first.find(' ');
  if (space == std::string_view::npos) {
    return Broken("malformed HTTP response " + GoQuote(first));
  }
  const std::string_view version = first.substr(0, space);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return version.starts_with("HTTP/") ? Broken("malformed HTTP version " + GoQuote(version))
                                        : Broken("malformed HTTP response " + GoQuote(first));
  }
  http_1_0_ = version == "HTTP/1.0";
  keep_alive_ = !http_1_0_;
  const std::string_view status = TrimSpace(first.substr(space + 1));
  const std::string_view code = status.substr(0, status.find(' '));
  const auto number = code.size() == 3 ? ParseUint(code) : std::nullopt;
  if (!number) return Broken("malformed HTTP status code " + GoQuote(code));
  status_ = static_cast<int>(*number);
  response_.headers = Headers();
  response_.status_text = status;

  bool chunked = false;
  bool has_length = false;
  uint64_t length = 0;
  while (!head.empty()) {
    const std::string_view line = next_line();
    if (line.empty()) break;
    NARTHEX_RETURN_IF_ERROR(ParseField(line, &chunked, &has_length, &length));
  }
  if (status_ / 100 == 1 && status_ != 101) {
    state_ = State::kHead;  // An interim answer; the real one follows.
    return {};
  }
  if (status_ / 100 != 2) on_data_ = nullptr;
  if (head_request_ || status_ == 101 || status_ == 204 || status_ == 304) {
    state_ = State::kDone;
    if (status_ == 101) keep_alive_ = false;
  } else if (chunked) {
    state_ = State::kChunkSize;
  } else if (has_length) {
    // A length beyond the bound is no error yet: perhaps so much never comes.
    remaining_ = length;
    state_ = length > 0 ? State::kLength : State::kDone;
  } else {
    keep_alive_ = false;
    state_ = State::kUntilClose;
  }
  return {};
}

// ---------------------------------------------------------------------------------------------
// Body
// ---------------------------------------------------------------------------------------------

Status Http1Reader::GrowBody(size_t needed) {
  if (body_bytes_max_ > 0 && needed > body_bytes_max_) return BodyTooLarge();
  if (needed <= body_.size()) return {};
  if (body_.empty()) {
    body_ = buffers_->Take(std::max(needed, kFirstBodyBytes));
  } else {
    body_.resize(std::max(needed, body_.size() * 2));
  }
  return {};
}

Status Http1Reader::AddBody(std::string_view bytes) {
  if (on_data_ != nullptr) {
    if ((*on_data_)(bytes)) return {};
    return Status(ErrorCode::kCanceled, "context canceled");
  }
  if (bytes.empty()) return {};
  NARTHEX_RETURN_IF_ERROR(GrowBody(filled_ + bytes.size()));
  std::memcpy(body_.data() + filled_, bytes.data(), bytes.size());
  filled_ += bytes.size();
  return {};
}

std::span<char> Http1Reader::Direct() {
  if ((state_ != State::kLength && state_ != State::kChunkData) || on_data_ != nullptr) return {};
  // A claim is believed only up to a bound; beyond it memory follows what has come.
  uint64_t claimed = std::min<uint64_t>(remaining_, std::max<uint64_t>(kReserveBytesMax, filled_));
  if (body_bytes_max_ > 0) claimed = std::min<uint64_t>(claimed, body_bytes_max_ - filled_);
  if (!GrowBody(filled_ + claimed).ok()) return {};
  return {body_.data() + filled_, static_cast<size_t>(claimed)};
}

Status Http1Reader::ReceivedDirect(size_t count) {
  filled_ += count;
  remaining_ -= count;
  if (remaining_ == 0) BodyPartDone();
  return {};
}

void Http1Reader::BodyPartDone() {
  state_ = state_ == State::kLength ? State::kDone : State::kChunkBreak;
}

Result<bool> Http1Reader::TakeLine(std::string_view* bytes, std::string_view* line) {
  const size_t end = bytes->find('\n');
  if (head_.size() + std::min(end, bytes->size()) > kLineBytesMax) {
    return Status(ErrorCode::kIo, "header line too long");
  }
  if (end == std::string_view::npos) {
    head_.append(*bytes);
    *bytes = {};
    return false;
  }
  if (head_.empty()) {
    *line = bytes->substr(0, end);
  } else {
    head_.append(bytes->substr(0, end));
    *line = head_;
  }
  bytes->remove_prefix(end + 1);
  if (line->ends_with('\r')) line->remove_suffix(1);
  return true;
}

Status Http1Reader::ParseChunkSize(std::string_view line) {
  const std::string_view digits = TrimSpace(line.substr(0, line.find(';')));
  if (digits.size() > 16) return Status(ErrorCode::kIo, "http chunk length too large");
  uint64_t size = 0;
  for (const char c : digits) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return Status(ErrorCode::kIo, "invalid byte in chunk length");
    size = size << 4 | static_cast<uint64_t>(digit);
  }
  if (digits.empty()) return Status(ErrorCode::kIo, "invalid byte in chunk length");
  remaining_ = size;
  state_ = size > 0 ? State::kChunkData : State::kTrailer;
  return {};
}

Result<size_t> Http1Reader::Consume(std::string_view bytes) {
  const size_t all = bytes.size();
  while (!bytes.empty() && state_ != State::kDone) {
    switch (state_) {
      case State::kHead: {
        // The head ends with an empty line, of either kind of line end. What came before is looked
        // at again only where the end may straddle the border.
        const size_t known = head_.size();
        if (known + bytes.size() > kHeaderBytesMax) {
          const bool ends = bytes.find("\n\r\n") != std::string_view::npos;
          if (!ends || known > kHeaderBytesMax) {
            return Broken(fmt::format(
                "net/http: server response headers exceeded {} bytes; aborted", kHeaderBytesMax));
          }
        }
        std::string_view text = bytes;
        size_t from = 0;
        if (known > 0) {
          head_.append(bytes);
          text = head_;
          from = known < 3 ? 0 : known - 3;
        }
        const size_t crlf = text.find("\n\r\n", from);
        const size_t lf = text.substr(0, crlf).find("\n\n", from);
        const size_t end = lf != std::string_view::npos ? lf + 2 : crlf + 3;
        if (crlf == std::string_view::npos && lf == std::string_view::npos) {
          if (known == 0) head_.assign(bytes);
          // What cannot be a head is told at its first line.
          if (const size_t line = text.find('\n');
              line != std::string_view::npos && !text.starts_with("HTTP/")) {
            return Broken("malformed HTTP response " + GoQuote(TrimSpace(text.substr(0, line))));
          }
          return all;
        }
        // Of the text `known` bytes were taken before.
        NARTHEX_RETURN_IF_ERROR(ParseHead(text.substr(0, end)));
        bytes.remove_prefix(end - known);
        head_.clear();
        break;
      }
      case State::kLength:
      case State::kChunkData: {
        const std::string_view part = bytes.substr(0, std::min<uint64_t>(remaining_, bytes.size()));
        NARTHEX_RETURN_IF_ERROR(AddBody(part));
        bytes.remove_prefix(part.size());
        remaining_ -= part.size();
        if (remaining_ == 0) BodyPartDone();
        break;
      }
      case State::kUntilClose:
        NARTHEX_RETURN_IF_ERROR(AddBody(bytes));
        bytes = {};
        break;
      default: {
        std::string_view line;
        NARTHEX_TRY(const bool whole, TakeLine(&bytes, &line));
        if (!whole) return all;
        if (state_ == State::kChunkBreak) {
          if (!line.empty()) return Status(ErrorCode::kIo, "malformed chunked encoding");
          state_ = State::kChunkSize;
        } else if (state_ == State::kChunkSize) {
          NARTHEX_RETURN_IF_ERROR(ParseChunkSize(line));
        } else if (line.empty()) {
          state_ = State::kDone;
        } else {
          line_bytes_ += line.size();
          if (line_bytes_ > kHeaderBytesMax) {
            return Status(ErrorCode::kIo, "http: suspiciously long trailer after chunked body");
          }
        }
        head_.clear();
      }
    }
  }
  return all - bytes.size();
}

Status Http1Reader::EndOfConnection() {
  switch (state_) {
    case State::kDone: return {};
    case State::kUntilClose: state_ = State::kDone; return {};
    case State::kHead:
      if (head_.empty()) return Status(ErrorCode::kIo, "EOF");
      // A last line without its end is still looked at.
      if (head_.find('\n') == std::string::npos) {
        if (Status status = ParseHead(head_ + "\n"); !status.ok()) return status;
      }
      return Broken("unexpected EOF");
    default: return Status(ErrorCode::kIo, "unexpected EOF");
  }
}

}  // namespace narthex::net
