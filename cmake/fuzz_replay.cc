// Runs a libFuzzer entry point as an ordinary test: every file of the corpus folder named on the
// command line, then seeded mutations of them, then seeded random bytes.
//
// The point is that fuzz targets keep compiling and keep passing where libFuzzer is absent. The
// seed is fixed, so a failure here happens again on the next run.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kMutationsPerFile = 200;
constexpr int kRandomInputs = 2000;
constexpr size_t kRandomBytesMax = 256;

void RunOne(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

std::string Mutate(std::string input, std::mt19937_64& random) {
  const auto below = [&](size_t bound) { return static_cast<size_t>(random() % bound); };
  for (size_t edits = 1 + below(4); edits > 0; --edits) {
    if (input.empty()) input.push_back(static_cast<char>(random()));
    const size_t at = below(input.size());
    switch (below(4)) {
      case 0: input[at] = static_cast<char>(random()); break;
      case 1: input.insert(at, 1, static_cast<char>(random())); break;
      case 2: input.erase(at, 1 + below(8)); break;
      default: input.insert(at, input.substr(at, 1 + below(16))); break;
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> corpus;
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) continue;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream file(entry.path(), std::ios::binary);
      corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  }
  std::mt19937_64 random(42);
  size_t runs = 0;
  for (const std::string& input : corpus) {
    RunOne(input);
    for (int i = 0; i < kMutationsPerFile; ++i) RunOne(Mutate(input, random));
    runs += 1 + kMutationsPerFile;
  }
  for (int i = 0; i < kRandomInputs; ++i) {
    std::string input(random() % kRandomBytesMax, '\0');
    for (char& byte : input) byte = static_cast<char>(random());
    RunOne(input);
    ++runs;
  }
  std::printf("%zu inputs, %zu of them from the corpus\n", runs, corpus.size());
  return 0;
}
