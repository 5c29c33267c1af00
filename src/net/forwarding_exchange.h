// An exchange that hands everything to another: the base of those that look at or change a part of
// what passes.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "net/http_server.h"

namespace narthex::net {

class ForwardingExchange : public HttpExchange {
 public:
  explicit ForwardingExchange(std::shared_ptr<HttpExchange> inner) : inner_(std::move(inner)) {}

  const HttpRequest& request() const override { return inner_->request(); }
  std::stop_token stop_token() const override { return inner_->stop_token(); }
  void Respond(HttpResponse response) override { inner_->Respond(std::move(response)); }
  void StartStream(HttpResponse response) override { inner_->StartStream(std::move(response)); }
  Status Write(std::string part) override { return inner_->Write(std::move(part)); }
  bool TryWrite(std::string part) override { return inner_->TryWrite(std::move(part)); }
  void Finish() override { inner_->Finish(); }

 private:
  const std::shared_ptr<HttpExchange> inner_;
};

}  // namespace narthex::net
