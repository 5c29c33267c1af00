// Passwords against bcrypt hashes. A hash takes tens of milliseconds; a scraper comes every few
// seconds with the same password, so outcomes are remembered, by a digest of user and password.
#include <crypt.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <map>
#include <memory>
#include <mutex>

#include "narthex/client/tls.h"

namespace narthex::client {
namespace {

using Digest = std::array<unsigned char, 32>;

// Compared with where the user is unknown, so that an answer's time does not tell who is known: the
// hash of no password that anybody has.
constexpr const char* kNobody = "$2b$10$abcdefghijklmnopqrstuuObocu2Chp6miCBFmOxXuOrIQmrFJL16";

class Authenticator {
 public:
  explicit Authenticator(const Labels& users) {
    for (const LabelPair& user : users) hashes_[user.name] = user.value;
    RAND_bytes(salt_.data(), static_cast<int>(salt_.size()));
  }

  bool Check(std::string_view user, std::string_view password) {
    const auto it = hashes_.find(user);
    const Digest digest = DigestOf(user, password);
    {
      const std::lock_guard lock(mutex_);
      if (const auto known = outcomes_.find(digest); known != outcomes_.end()) {
        return known->second;
      }
    }
    const bool matches =
        Matches(std::string(password), it == hashes_.end() ? kNobody : it->second) &&
        it != hashes_.end();
    const std::lock_guard lock(mutex_);
    if (outcomes_.size() >= kOutcomesMax) outcomes_.erase(outcomes_.begin());
    outcomes_[digest] = matches;
    return matches;
  }

  static bool Matches(const std::string& password, const std::string& hash) {
    if (password.find('\0') != std::string::npos) return false;
    auto scratch = std::make_unique<crypt_data>();  // 32 KiB: too much for a small stack.
    const char* const got = crypt_r(password.c_str(), hash.c_str(), scratch.get());
    if (got == nullptr) return false;
    const std::string_view text = got;
    if (text.size() != hash.size()) return false;
    unsigned char difference = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      difference = static_cast<unsigned char>(difference | (text[i] ^ hash[i]));
    }
    return difference == 0;
  }

 private:
  static constexpr size_t kOutcomesMax = 100;

  Digest DigestOf(std::string_view user, std::string_view password) const {
    std::string text(salt_.begin(), salt_.end());
    text += std::to_string(user.size());
    ((text += ':') += user) += password;
    Digest digest{};
    EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
    return digest;
  }

  std::map<std::string, std::string, std::less<>> hashes_;  // Constant.
  std::array<unsigned char, 16> salt_{};                    // Constant.
  std::mutex mutex_;
  std::map<Digest, bool> outcomes_;  // Guarded by mutex_. Digests are random: so is who leaves.
};

bool LooksLikeBcrypt(const std::string& hash) {
  return hash.size() == 60 && hash[0] == '$' && hash[1] == '2' && hash[3] == '$' && hash[6] == '$';
}

}  // namespace

Result<std::function<bool(std::string_view user, std::string_view password)>>
MakeBcryptAuthenticator(const Labels& users) {
  for (const LabelPair& user : users) {
    if (!LooksLikeBcrypt(user.value)) {
      return Status(StatusCode::kInvalid, "user " + user.name + ": not a bcrypt hash");
    }
  }
  auto authenticator = std::make_shared<Authenticator>(users);
  return std::function<bool(std::string_view, std::string_view)>(
      [authenticator](std::string_view user, std::string_view password) {
        return authenticator->Check(user, password);
      });
}

}  // namespace narthex::client
