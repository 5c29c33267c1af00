#include "net/http2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <chrono>
#include <cstring>
#include <map>
#include <vector>

#include "net/server_exchange.h"
#include "util/check.h"
#include "util/strings.h"

namespace narthex::net {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace {

constexpr auto kAsValue = asio::as_tuple(asio::use_awaitable);
constexpr auto kProgressTimeout = std::chrono::seconds(120);
constexpr uint32_t kStreamsMax = 250;  // Go's number.
constexpr uint32_t kWindowBytes = 1 << 20;
constexpr size_t kReadBytes = 16 << 10;
constexpr size_t kWriteBytes = 256 << 10;

// Fields that belong to a connection of HTTP/1.1 have no place here.
bool IsConnectionField(std::string_view lower_name) {
  return lower_name == "connection" || lower_name == "keep-alive" ||
         lower_name == "transfer-encoding" || lower_name == "proxy-connection" ||
         lower_name == "upgrade";
}

nghttp2_nv Field(const std::string& name, const std::string& value) {
  nghttp2_nv field{};
  field.name = reinterpret_cast<uint8_t*>(const_cast<char*>(name.data()));
  field.namelen = name.size();
  field.value = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data()));
  field.valuelen = value.size();
  return field;  // Without flags nghttp2 makes copies.
}

class Session : public Http2Session, public std::enable_shared_from_this<Session> {
 public:
  using TlsStream = beast::ssl_stream<beast::tcp_stream>;

  Session(TlsStream& stream, asio::io_context& context, const HttpServerOptions& options,
          const HttpServer::Handler& handler, std::string remote_address);
  ~Session() override;

  void Start(std::function<void()> ended) override;
  void Shutdown(bool force) override;

 private:
  struct Stream;
  struct Callbacks;

  asio::awaitable<void> ReadLoop();
  asio::awaitable<void> WriteLoop();
  void Wake() { wake_.cancel(); }
  void Dispatch(Stream& stream);
  void Answer(int32_t id);
  void SendHead(Stream& stream, HttpResponse response, bool streaming);
  void CloseStreams();
  void WatchIdle();

  TlsStream& stream_;
  asio::io_context& context_;
  const HttpServerOptions& options_;
  const HttpServer::Handler& handler_;
  const std::string remote_address_;
  nghttp2_session* session_ = nullptr;
  std::map<int32_t, std::unique_ptr<Stream>> streams_;
  asio::steady_timer wake_;  // The writer waits on it.
  asio::steady_timer done_;  // The reader waits on it for the writer.
  asio::steady_timer idle_;
  bool heard_ = false;  // Since the last look at idleness.
  bool writing_ = false;
  bool stopping_ = false;
  bool closed_ = false;
};

struct Session::Stream {
  int32_t id = 0;
  HttpRequest request;
  std::string authority;
  size_t header_bytes = 0;
  bool too_large = false;
  std::shared_ptr<Exchange> exchange;  // Null until the request is whole.
  bool head_sent = false;
  bool finished = false;
  bool waits_for_data = false;
  // Of the answer; `released` bytes of its front still count against the exchange's buffer.
  std::string out;
  size_t out_sent = 0;
  size_t released = 0;
};

// What nghttp2 calls. `user` is the session.
struct Session::Callbacks {
  static Stream* Find(void* user, int32_t id) {
    auto* self = static_cast<Session*>(user);
    const auto found = self->streams_.find(id);
    return found == self->streams_.end() ? nullptr : found->second.get();
  }

  static int BeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    auto* self = static_cast<Session*>(user);
    const int32_t id = frame->hd.stream_id;
    if (frame->hd.type != NGHTTP2_HEADERS || self->streams_.contains(id)) return 0;
    auto stream = std::make_unique<Stream>();
    stream->id = id;
    stream->request.remote_address = self->remote_address_;
    self->streams_.emplace(id, std::move(stream));
    return 0;
  }

  static int Header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name_bytes,
                    size_t name_size, const uint8_t* value_bytes, size_t value_size, uint8_t,
                    void* user) {
    auto* self = static_cast<Session*>(user);
    Stream* stream = Find(user, frame->hd.stream_id);
    if (stream == nullptr || stream->exchange != nullptr) return 0;  // Trailers are passed over.
    stream->header_bytes += name_size + value_size;
    if (stream->header_bytes > self->options_.header_bytes_max) {
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    std::string name(reinterpret_cast<const char*>(name_bytes), name_size);
    std::string value(reinterpret_cast<const char*>(value_bytes), value_size);
    HttpRequest& request = stream->request;
    if (name == ":method") {
      request.method = std::move(value);
    } else if (name == ":path") {
      const size_t mark = value.find('?');
      request.path = value.substr(0, mark);
      if (mark != std::string::npos) request.query = value.substr(mark + 1);
    } else if (name == ":authority") {
      stream->authority = std::move(value);
    } else if (!name.starts_with(':')) {
      request.headers.Add(std::move(name), std::move(value));
    }
    return 0;
  }

  static int Data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size,
                  void* user) {
    auto* self = static_cast<Session*>(user);
    Stream* stream = Find(user, id);
    if (stream == nullptr || stream->too_large) return 0;
    if (stream->request.body.size() + size > self->options_.body_bytes_max) {
      stream->too_large = true;
      stream->request.body = std::string();
      return 0;
    }
    stream->request.body.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }

  static int FrameReceived(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (!ends || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)) return 0;
    if (Stream* stream = Find(user, frame->hd.stream_id); stream != nullptr) {
      static_cast<Session*>(user)->Dispatch(*stream);
    }
    return 0;
  }

  static int StreamClosed(nghttp2_session*, int32_t id, uint32_t, void* user) {
    auto* self = static_cast<Session*>(user);
    const auto found = self->streams_.find(id);
    if (found == self->streams_.end()) return 0;
    if (found->second->exchange != nullptr) found->second->exchange->Close();
    self->streams_.erase(found);
    if (self->stopping_ && self->streams_.empty()) {
      nghttp2_session_terminate_session(self->session_, NGHTTP2_NO_ERROR);
    }
    return 0;
  }

  static ssize_t ReadBody(nghttp2_session*, int32_t, uint8_t* to, size_t size, uint32_t* flags,
                          nghttp2_data_source* source, void*) {
    auto* stream = static_cast<Stream*>(source->ptr);
    const size_t left = stream->out.size() - stream->out_sent;
    if (left == 0 && !stream->finished) {
      stream->waits_for_data = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    const size_t taken = std::min(left, size);
    std::memcpy(to, stream->out.data() + stream->out_sent, taken);
    stream->out_sent += taken;
    if (stream->out_sent == stream->out.size()) {
      stream->out.clear();
      stream->out_sent = 0;
      if (stream->finished) *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    const size_t released = std::min(taken, stream->released);
    stream->released -= released;
    if (released > 0) stream->exchange->Sent(released);
    return static_cast<ssize_t>(taken);
  }
};

Session::Session(TlsStream& stream, asio::io_context& context, const HttpServerOptions& options,
                 const HttpServer::Handler& handler, std::string remote_address)
    : stream_(stream),
      context_(context),
      options_(options),
      handler_(handler),
      remote_address_(std::move(remote_address)),
      wake_(context),
      done_(context),
      idle_(context) {
  nghttp2_session_callbacks* callbacks = nullptr;
  NARTHEX_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, &Callbacks::BeginHeaders);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, &Callbacks::Header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &Callbacks::Data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &Callbacks::FrameReceived);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &Callbacks::StreamClosed);
  NARTHEX_CHECK(nghttp2_session_server_new(&session_, callbacks, this) == 0);
  nghttp2_session_callbacks_del(callbacks);
  const std::array<nghttp2_settings_entry, 3> settings = {{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kStreamsMax},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindowBytes},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(options_.header_bytes_max)},
  }};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kWindowBytes);
}

Session::~Session() {
  nghttp2_session_del(session_);
}

asio::awaitable<void> Session::ReadLoop() {
  writing_ = true;
  asio::co_spawn(context_, WriteLoop(),
                 [self = shared_from_this()](const std::exception_ptr& failure) {
                   NARTHEX_CHECK(failure == nullptr);
                   self->writing_ = false;
                   self->done_.cancel();
                 });
  std::array<char, kReadBytes> buffer;
  // Reads have no deadline of their own: a stream may be quiet for long while it is worked on.
  beast::get_lowest_layer(stream_).expires_never();
  WatchIdle();
  while (!closed_) {
    const auto [error, size] = co_await stream_.async_read_some(asio::buffer(buffer), kAsValue);
    if (error) break;
    heard_ = true;
    const ssize_t taken =
        nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(buffer.data()), size);
    Wake();
    if (taken < 0 ||
        (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0)) {
      break;
    }
  }
  closed_ = true;
  idle_.cancel();
  CloseStreams();
  Wake();
  while (writing_) {
    done_.expires_at(asio::steady_timer::time_point::max());
    co_await done_.async_wait(kAsValue);
  }
  beast::get_lowest_layer(stream_).close();
}

// Ends a connection that has no stream and says nothing.
void Session::WatchIdle() {
  heard_ = false;
  idle_.expires_after(std::chrono::nanoseconds(options_.read_timeout_nanos));
  idle_.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
    const auto session = weak.lock();
    if (cancelled || session == nullptr || session->closed_) return;
    if (session->heard_ || !session->streams_.empty()) {
      session->WatchIdle();
    } else {
      session->Shutdown(/*force=*/true);
    }
  });
}

asio::awaitable<void> Session::WriteLoop() {
  const auto self = shared_from_this();
  std::string out;
  for (;;) {
    wake_.expires_at(asio::steady_timer::time_point::max());
    out.clear();
    while (out.size() < kWriteBytes) {
      const uint8_t* bytes = nullptr;
      const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
      if (size <= 0) break;
      out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
    }
    if (out.empty()) {
      const bool over =
          nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
      if (closed_ || over) break;
      co_await wake_.async_wait(kAsValue);
      continue;
    }
    beast::get_lowest_layer(stream_).expires_after(kProgressTimeout);
    const auto [error, size] = co_await asio::async_write(stream_, asio::buffer(out), kAsValue);
    if (error || size != out.size()) break;
  }
  if (!closed_) {
    closed_ = true;
    beast::get_lowest_layer(stream_).close();  // Ends the reader.
  }
}

void Session::Dispatch(Stream& stream) {
  if (stream.exchange != nullptr) return;
  if (!stream.request.headers.Has("Host")) stream.request.headers.Add("Host", stream.authority);
  const int32_t id = stream.id;
  auto wake = [weak = weak_from_this(), &context = context_, id] {
    asio::post(context, [weak, id] {
      if (const auto session = weak.lock()) session->Answer(id);
    });
  };
  const bool too_large = stream.too_large;
  auto exchange = std::make_shared<Exchange>(std::move(stream.request),
                                             options_.stream_buffer_bytes, std::move(wake));
  stream.exchange = exchange;
  if (too_large) {
    exchange->Respond(PlainError(413, "413 Request Entity Too Large"));
    return;
  }
  handler_(std::shared_ptr<HttpExchange>(exchange.get(),
                                         [exchange](HttpExchange*) { exchange->Abandon(); }));
}

// Takes what the handler has given so far.
void Session::Answer(int32_t id) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || closed_) return;
  Stream& stream = *found->second;
  Exchange::Step step = stream.exchange->Take();
  if (!step.answered) return;
  if (stream.exchange->stop_token().stop_requested() && !step.finished && !stopping_) {
    // A stream without its end: nobody shall take the part for the whole.
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
    Wake();
    return;
  }
  const bool head = stream.exchange->request().method == "HEAD";
  for (std::string& part : step.parts) {
    stream.released += part.size();
    if (!head) stream.out += part;
  }
  stream.finished = step.finished;
  if (!stream.head_sent) {
    stream.head_sent = true;
    SendHead(stream, stream.exchange->TakeResponse(), step.streaming);
  } else if (stream.waits_for_data) {
    stream.waits_for_data = false;
    nghttp2_session_resume_data(session_, id);
  }
  Wake();
}

void Session::SendHead(Stream& stream, HttpResponse response, bool streaming) {
  std::vector<std::pair<std::string, std::string>> fields;
  fields.emplace_back(":status", std::to_string(response.status));
  for (const auto& [name, value] : response.headers.fields()) {
    std::string lower = ToLower(name);
    if (!IsConnectionField(lower)) fields.emplace_back(std::move(lower), value);
  }
  if (!response.headers.Has("Date")) fields.emplace_back("date", DateField());
  const bool bodiless = response.status == 204 || response.status == 304;
  if (!streaming && !bodiless) {
    fields.emplace_back("content-length", std::to_string(response.body.size()));
  }
  const bool head = stream.exchange->request().method == "HEAD";
  if (head || bodiless) {
    stream.out.clear();
    if (streaming && !stream.finished) stream.exchange->Close();  // Nobody waits for its parts.
  } else {
    stream.out.insert(0, response.body);
  }
  std::vector<nghttp2_nv> list;
  for (const auto& [name, value] : fields) list.push_back(Field(name, value));
  nghttp2_data_provider provider{};
  provider.source.ptr = &stream;
  provider.read_callback = &Callbacks::ReadBody;
  const bool empty = head || bodiless || (stream.finished && stream.out.empty());
  nghttp2_submit_response(session_, stream.id, list.data(), list.size(),
                          empty ? nullptr : &provider);
}

void Session::CloseStreams() {
  for (const auto& [id, stream] : streams_) {
    if (stream->exchange != nullptr) stream->exchange->Close();
  }
}

void Session::Shutdown(bool force) {
  stopping_ = true;
  CloseStreams();
  if (force) {
    closed_ = true;
    beast::get_lowest_layer(stream_).close();
  } else if (streams_.empty()) {
    nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
  } else {
    // What is under way may still be answered.
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                          nullptr, 0);
  }
  Wake();
}

void Session::Start(std::function<void()> ended) {
  asio::co_spawn(
      context_, ReadLoop(),
      [self = shared_from_this(), ended = std::move(ended)](const std::exception_ptr& failure) {
        NARTHEX_CHECK(failure == nullptr);
        ended();
      });
}

}  // namespace

std::shared_ptr<Http2Session> MakeHttp2Session(void* stream, void* context,
                                               const HttpServerOptions& options,
                                               const HttpServer::Handler& handler,
                                               std::string remote_address) {
  return std::make_shared<Session>(*static_cast<Session::TlsStream*>(stream),
                                   *static_cast<asio::io_context*>(context), options, handler,
                                   std::move(remote_address));
}

}  // namespace narthex::net
