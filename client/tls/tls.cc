// TLS channels over OpenSSL. The library's own socket layer would raise SIGPIPE in the threads of
// whoever uses us, so bytes go through a layer of ours that sends without signals.
#include "narthex/client/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <mutex>

namespace narthex::client {
namespace {

using ContextPtr = std::shared_ptr<SSL_CTX>;

std::string LastSslError() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown TLS error";
  char text[256];
  ERR_error_string_n(code, text, sizeof text);
  return text;
}

Status Failed(const std::string& what) {
  return {StatusCode::kIo, what + ": " + LastSslError()};
}

int SocketOf(BIO* bio) {
  return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
}

int BioWrite(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent = send(SocketOf(bio), data, static_cast<size_t>(size), MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int BioRead(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = recv(SocketOf(bio), data, static_cast<size_t>(size), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(got);
}

long BioControl(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO* MakeBio(int socket) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "narthex socket");
    BIO_meth_set_write(m, BioWrite);
    BIO_meth_set_read(m, BioRead);
    BIO_meth_set_ctrl(m, BioControl);
    return m;
  }();
  BIO* const bio = BIO_new(method);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a number in the place of a pointer.
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(socket)));
  BIO_set_init(bio, 1);
  return bio;
}

class TlsChannel final : public Channel {
 public:
  // The context may be replaced while connections of the old one live.
  TlsChannel(ContextPtr context, SSL* ssl) : context_(std::move(context)), ssl_(ssl) {}
  ~TlsChannel() override { SSL_free(ssl_); }

  Outcome Read(char* data, size_t size) override {
    size_t done = 0;
    ERR_clear_error();
    return Report(SSL_read_ex(ssl_, data, size, &done), done);
  }
  Outcome Write(const char* data, size_t size) override {
    size_t done = 0;
    ERR_clear_error();
    return Report(SSL_write_ex(ssl_, data, size, &done), done);
  }
  void Finish() override {
    ERR_clear_error();
    SSL_shutdown(ssl_);
    ERR_clear_error();
  }
  std::string error() const override { return error_; }

 private:
  Outcome Report(int result, size_t done) {
    if (result == 1) return {State::kOk, done};
    switch (SSL_get_error(ssl_, result)) {
      case SSL_ERROR_WANT_READ: return {State::kWantRead, 0};
      case SSL_ERROR_WANT_WRITE: return {State::kWantWrite, 0};
      case SSL_ERROR_ZERO_RETURN: return {State::kClosed, 0};
      default: break;
    }
    const long verified = SSL_get_verify_result(ssl_);
    error_ = verified != X509_V_OK
                 ? std::string("certificate: ") + X509_verify_cert_error_string(verified)
                 : LastSslError();
    ERR_clear_error();
    return {State::kFailed, 0};
  }

  const ContextPtr context_;
  SSL* const ssl_;
  std::string error_;
};

Result<ContextPtr> NewContext(const SSL_METHOD* method) {
  ContextPtr context(SSL_CTX_new(method), SSL_CTX_free);
  if (context == nullptr) return Failed("TLS context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

Status LoadPair(SSL_CTX* context, const std::string& certificate, const std::string& key) {
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
    return Failed("certificate " + certificate);
  }
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Failed("key " + key);
  }
  if (SSL_CTX_check_private_key(context) != 1) return Failed("key " + key);
  return {};
}

// What tells one version of a file from another.
std::string Stamp(const std::string& path) {
  struct stat info{};
  if (path.empty() || stat(path.c_str(), &info) != 0) return {};
  return std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec) + "." +
         std::to_string(info.st_size) + "." + std::to_string(info.st_ino) + ";";
}

class TlsServer final : public ChannelFactory {
 public:
  explicit TlsServer(TlsServerOptions options) : options_(std::move(options)) {}

  Status Load() {
    Result<ContextPtr> context = NewContext(TLS_server_method());
    if (!context.ok()) return context.status();
    SSL_CTX* const raw = context->get();
    if (Status status = LoadPair(raw, options_.certificate_file, options_.key_file); !status.ok()) {
      return status;
    }
    if (!options_.client_ca_file.empty()) {
      if (SSL_CTX_load_verify_file(raw, options_.client_ca_file.c_str()) != 1) {
        return Failed("client authorities " + options_.client_ca_file);
      }
      SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    constexpr unsigned char kSession[] = "narthex";
    SSL_CTX_set_session_id_context(raw, kSession, sizeof kSession - 1);
    context_ = *std::move(context);
    return {};
  }

  Result<std::unique_ptr<Channel>> Make(int socket, const std::string&) override {
    const ContextPtr context = Context();
    SSL* const ssl = SSL_new(context.get());
    if (ssl == nullptr) return Failed("TLS connection");
    BIO* const bio = MakeBio(socket);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    return std::unique_ptr<Channel>(std::make_unique<TlsChannel>(context, ssl));
  }

  std::string Stamps() const {
    return Stamp(options_.certificate_file) + Stamp(options_.key_file) +
           Stamp(options_.client_ca_file);
  }

 private:
  ContextPtr Context() {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now - looked_ >= std::chrono::seconds(1)) {
      looked_ = now;
      if (std::string stamps = Stamps(); stamps != stamps_) {
        // Half-written files fail to load: the next look tries again.
        if (Load().ok()) stamps_ = std::move(stamps);
      }
    }
    return context_;
  }

  const TlsServerOptions options_;
  std::mutex mutex_;  // Guards what follows, once the object is shared.
  ContextPtr context_;
  std::string stamps_ = Stamps();
  std::chrono::steady_clock::time_point looked_ = std::chrono::steady_clock::now();
};

class TlsClient final : public ChannelFactory {
 public:
  TlsClient(TlsClientOptions options, ContextPtr context)
      : options_(std::move(options)), context_(std::move(context)) {}

  Result<std::unique_ptr<Channel>> Make(int socket, const std::string& host) override {
    SSL* const ssl = SSL_new(context_.get());
    if (ssl == nullptr) return Failed("TLS connection");
    auto channel = std::make_unique<TlsChannel>(context_, ssl);
    BIO* const bio = MakeBio(socket);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_connect_state(ssl);
    const std::string& name = options_.server_name.empty() ? host : options_.server_name;
    X509_VERIFY_PARAM* const checks = SSL_get0_param(ssl);
    // An address is looked for among the certificate's addresses, anything else among its names.
    if (X509_VERIFY_PARAM_set1_ip_asc(checks, name.c_str()) != 1) {
      if (X509_VERIFY_PARAM_set1_host(checks, name.c_str(), name.size()) != 1 ||
          SSL_set_tlsext_host_name(ssl, name.c_str()) != 1) {
        return Failed("server name " + name);
      }
    }
    return std::unique_ptr<Channel>(std::move(channel));
  }

 private:
  const TlsClientOptions options_;
  const ContextPtr context_;
};

}  // namespace

Result<std::shared_ptr<ChannelFactory>> MakeTlsServer(const TlsServerOptions& options) {
  auto server = std::make_shared<TlsServer>(options);
  if (Status status = server->Load(); !status.ok()) return status;
  return std::shared_ptr<ChannelFactory>(std::move(server));
}

Result<std::shared_ptr<ChannelFactory>> MakeTlsClient(const TlsClientOptions& options) {
  Result<ContextPtr> context = NewContext(TLS_client_method());
  if (!context.ok()) return context.status();
  SSL_CTX* const raw = context->get();
  if (options.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(raw);
  } else if (SSL_CTX_load_verify_file(raw, options.ca_file.c_str()) != 1) {
    return Failed("authorities " + options.ca_file);
  }
  if (!options.certificate_file.empty()) {
    const std::string& key = options.key_file.empty() ? options.certificate_file : options.key_file;
    if (Status status = LoadPair(raw, options.certificate_file, key); !status.ok()) return status;
  }
  SSL_CTX_set_verify(raw, options.insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                     nullptr);
  return std::shared_ptr<ChannelFactory>(std::make_shared<TlsClient>(options, *std::move(context)));
}

}  // namespace narthex::client
