#include "util/go_math.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace narthex::go {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kSmallest = std::numeric_limits<double>::denorm_min();

// The arguments and checksums of tests/differential/go_math.go, which says more.
class Source {
 public:
  explicit Source(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

constexpr size_t kKinds = 8;
constexpr int kPerKind = 4096;

double Draw(size_t kind, Source* source) {
  switch (kind) {
    case 0: return std::bit_cast<double>(source->Next());
    case 1: return source->Unit() * 2 - 1;
    case 2: return source->Unit() * 20 - 10;
    case 3: return source->Unit() * 2000 - 1000;
    case 4: return source->Unit() * 4e15;
    case 5: return static_cast<double>(static_cast<int64_t>(source->Next() >> 56) - 128);
    case 6: return static_cast<double>(static_cast<int64_t>(source->Next() >> 54) - 512) / 8;
    default: {
      const double fraction = source->Unit() - 0.5;
      return std::ldexp(fraction, -static_cast<int>(source->Next() % 64));
    }
  }
}

class Checksum {
 public:
  void Add(double value) {
    const uint64_t bits =
        std::isnan(value) ? uint64_t{0x7ff8000000000000} : std::bit_cast<uint64_t>(value);
    hash_ = (hash_ ^ bits) * 0x100000001b3;
  }
  uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325;
};

TEST(GoMath, FunctionsOfOneArgument) {
  struct Row {
    const char* name;
    double (*fn)(double);
    std::array<uint64_t, kKinds> sums;
  };
  // clang-format off
  static constexpr Row kRows[] = {
    {"Log", Log, {0x7923320d1a447673, 0x78b4b0dbc4af77b4, 0x9cef71a45aa78308, 0xbe2d4dfad017146b, 0xbc7db67dff9b8205, 0x7b136920c076fb07, 0x59b2ac25f952e6d2, 0x40b14c2aeca0eab3}},
    {"Log2", Log2, {0xf35e15e6576b1a3b, 0xddfca2fd160bda9e, 0x592441216e5413c0, 0xf86aececde53187, 0xaa0eca53634fd929, 0x78044d88ee8d745b, 0x97181b1f73a2cc40, 0x22cbfc48d5b9a91c}},
    {"Log10", Log10, {0x4bf7ab17b88df5e7, 0x3911d1eaa66047a3, 0x2a11635e3e88117f, 0x9d94415134a3c8f6, 0x33fdb128dc916b1b, 0x40c9805d18a07d4d, 0xeae3834b1f524c8b, 0x471b519326931543}},
    {"Log1p", Log1p, {0xd7a62da8a844cdf5, 0x7f0c7e8fcf20e2ae, 0xe9472f186f543286, 0xc906d9e7b15144be, 0x4fb9f44090356e55, 0x8764e81ef263a927, 0x8a0537a1e103eff4, 0xc53b12c6005adc03}},
    {"Exp", Exp, {0xb95653e71c4bbfcd, 0x25acf9726944d194, 0x195724a462bea7a5, 0x79da734694fc4143, 0x4c5a0c83ce3b6325, 0xb75d0e8a06c9d768, 0x89f7d774eafbd9, 0xf0182b2ab25fefad}},
    {"Exp2", Exp2, {0x7b32b5e8277a4e06, 0x3f6ca77f9f9a1073, 0x2d9355542429c710, 0xa4c499b245603759, 0x4c5a0c83ce3b6325, 0x4d6a0c83ce3b6325, 0x12c5a9125dc0963a, 0x8d2e634acd34087a}},
    {"Sin", Sin, {0xc9d6b83238f59a84, 0xcfa122bb189b7fab, 0x812253971ac755a3, 0x4bfce0012e28bfd7, 0x7ef36ef74ba4c653, 0x21108fbf54bb42c1, 0x4b9dec0524344aaa, 0xcb03fddc0ece8d82}},
    {"Cos", Cos, {0xc79f143a5a3def5f, 0x99d8520d2bcf7fc2, 0x9873d9f67e4261b7, 0xbaeb43d95befbaea, 0xcffeffde566eceae, 0xec79c85d0ee747ac, 0x77ab489b4608ef82, 0x1e45467b3d0cdf2f}},
    {"Tan", Tan, {0x53135badfbf12ecd, 0x291a1efe880d25f6, 0x7248fc7793f82dcf, 0x4ec01dec940551d8, 0x1d1d6f88ab30600, 0xc69632439c512046, 0xe611fd509b4f0602, 0xaa864979419a5b13}},
    {"Asin", Asin, {0xd22caf14062e570e, 0xbda0806d20e5f53f, 0x5a01a26fed4cbfb5, 0xefb97e8427db0149, 0x569a0c83ce3b6325, 0xe5131f7007d6695d, 0xeb25e9b3eb386985, 0xa549ea512281d42f}},
    {"Acos", Acos, {0xf925c2b63a98b7e7, 0x40c6cd0c6dab9cf5, 0x410d452675afbac4, 0x3744136bf6634e6, 0x569a0c83ce3b6325, 0x1c615d853a34d36d, 0x8b3ff81414c21d45, 0x1b419c9f0ee3f4a6}},
    {"Atan", Atan, {0x8d59d3b27688123a, 0xb6f748f94804b211, 0x1333359481fff84e, 0x460553e7798ddad4, 0xcc0224c637d6d546, 0x1f48ddbc7a6e9fc2, 0x497b0eaa8fb23d01, 0x859b6feccff20def}},
    {"Sinh", Sinh, {0xf73e3f3645450569, 0x7c5a75bfaedc8dd4, 0xe945157697d8662b, 0xf8935ed5b86a89e, 0x4c5a0c83ce3b6325, 0xbbf8ff11d30f6899, 0x6785faac4eb7ed51, 0x913c05e3f54f6548}},
    {"Cosh", Cosh, {0x7774b90e153cd72f, 0x7f252749eb9e61b9, 0x6b69f453241f5808, 0x2aa733493bf002e6, 0x4c5a0c83ce3b6325, 0xf7db9abc8391e2e9, 0xe191d67f69d459c7, 0xf1591fa9429b004}},
    {"Tanh", Tanh, {0x18ad26b6faa41063, 0xfd062ad044b33205, 0x8939cd2e458fcb10, 0x6b6c5c596900fb4c, 0x4c5a0c83ce3b6325, 0xce941b3282a8c190, 0x8a9be17dfb5e6d38, 0x5d4ecda5b740a4fd}},
    {"Asinh", Asinh, {0xc550e3b1c1be54a0, 0x28841afa6a04eece, 0xce4a6cf5596bfd6e, 0x14e6391572042a6a, 0xa0c046091068f51, 0xdd7438c4afcc4311, 0x2f1a54ef3cb40a7b, 0x1137b878b1acf6a4}},
    {"Acosh", Acosh, {0xbe6b450a3ec992d3, 0x569a0c83ce3b6325, 0x792c6d8225a665d1, 0x64ff94966cebe10a, 0xa0c046091068f51, 0xc0311d8377741bca, 0x807b8c8ba198889e, 0x569a0c83ce3b6325}},
    {"Atanh", Atanh, {0xc76daf316bf9da3, 0x59e5ed7509df1aed, 0xe63f4605d084d5ac, 0x964b90100ad7d0d6, 0x569a0c83ce3b6325, 0x80c20c83ce3b6325, 0x3f325f1128a3ce45, 0xb9a89291f88c75e2}},
  };
  // clang-format on
  for (const Row& row : kRows) {
    for (size_t kind = 0; kind < kKinds; ++kind) {
      Source source(kind + 1);
      Checksum sum;
      for (int i = 0; i < kPerKind; ++i) sum.Add(row.fn(Draw(kind, &source)));
      EXPECT_EQ(sum.hash(), row.sums[kind]) << row.name << " of kind " << kind;
    }
  }
}

TEST(GoMath, FunctionsOfTwoArguments) {
  struct Row {
    const char* name;
    double (*fn)(double, double);
    size_t first;
    std::array<uint64_t, kKinds> sums;
  };
  // clang-format off
  static constexpr Row kRows[] = {
    {"Pow of bits", Pow, 0, {0x57831607b9fb433d, 0x1336658ebe201194, 0x278c5bfd7cf5ec9e, 0xf6926dec651bfa3a, 0x7eda0c83ce3b6325, 0x6d8a7484f1b2d371, 0x7e6b6b61c49be5ae, 0xb9ef5d6669593ba1}},
    {"Pow of unit", Pow, 1, {0x7eaf6a1cb0158355, 0xa1d64d7b938a73af, 0xec4da218575c47ea, 0x2a7c0774aa82a00d, 0x964a0c83ce3b6325, 0x91644cf049d4b6a9, 0x831d8ff6b1cb532d, 0x6215960c1d34e7a7}},
    {"Pow of ten", Pow, 2, {0x4464ca2c26683fe7, 0x2f78ccf420e4258, 0x6228faaea5d8876, 0xa8c9c5f418cd639, 0x77520c83ce3b6325, 0x7bfe88e027cadfc4, 0xd498a26b5c01d609, 0x27bb5330b39babb8}},
    {"Pow of thousand", Pow, 3, {0xc607f658621a4725, 0x8a9120bc8a882f58, 0x96897042c2bbb30, 0x306593f9e75353f9, 0xa25a0c83ce3b6325, 0xc703ef8eef7b3b08, 0xeae6738315759d8e, 0x30a995bc5eefd852}},
    {"Pow of large", Pow, 4, {0xfd53e29b2cbde7f6, 0x621268d93ecb239e, 0x96f547e8498666cb, 0xd5cc38e54693667b, 0x4c5a0c83ce3b6325, 0xea959601b7206b06, 0xb609b3db2c36564f, 0x3fd51aec7735e811}},
    {"Pow of whole", Pow, 5, {0x553327bfa4f81cdf, 0xfa8f03e278e3946d, 0x8781cea9c2155ddd, 0xca8a215b54055471, 0xc6a20c83ce3b6325, 0x4388031d0eb65edf, 0x25432166775be2d0, 0x871e2d94db0d78e0}},
    {"Pow of half", Pow, 6, {0x58f7e59c7dd5c131, 0xa6f72f2e226dbb2c, 0x3d1cf9d35d465d50, 0x48e5b960dbb2cfe5, 0x11220c83ce3b6325, 0x939cb67a98a23bf9, 0xa9929feaee6ceed4, 0x76bc6d7e8eb08933}},
    {"Pow of small", Pow, 7, {0xd3862997d822c034, 0xd16f1d6d7896ff12, 0xdb29bbc638a96a0d, 0x5a0b15c86e55c4ef, 0x89620c83ce3b6325, 0x2111e5004a79d4ce, 0xa754ecc431db45fe, 0x9757f5d052695778}},
    {"Atan2 of bits", Atan2, 0, {0x716fdf4fed84a2ab, 0xc45bc87b324c9a50, 0x46cba5eb6b11c9fa, 0xc022f28537611cff, 0xe39b3ffe0eadf709, 0x907cda2f274613d9, 0xb1d92f29a31917d0, 0x8ef3d03e4bd8d3bd}},
    {"Atan2 of unit", Atan2, 1, {0xebd96e4589880988, 0x718e63babdfdfa08, 0x94f07fd8eae4d3d8, 0xdc6e9f00d35eb215, 0x2e916d46334a6827, 0xfc253f0478a647b4, 0x64a5e0c9e577033d, 0xba458437740d313d}},
    {"Atan2 of ten", Atan2, 2, {0xe36e8bb82d296607, 0x3aee01acac661490, 0xe7b70a85da478d19, 0x1f61df0279bb62d, 0xd7a235c81506aa7a, 0x6cdf03b1c3d80eb7, 0xb6702c4c3842a96f, 0xb1268540c71d9cd1}},
    {"Atan2 of thousand", Atan2, 3, {0x8067f34b629c5fda, 0xde1f46da6a6d29ef, 0xc2e8768f673295e8, 0xf9fc861f92faafe, 0xe6de7652e9080635, 0xc4541e59fa866d2b, 0x110f419ab869188f, 0xd9487442c3298674}},
    {"Atan2 of large", Atan2, 4, {0x78a9a439fff961a4, 0xe426b8fc03dd2f63, 0x5225af29b06620a5, 0x9d0fa528cefbb6de, 0x93504601bfd9b4c0, 0xcf70e635bc5eeee0, 0xc97651d5d6cd7264, 0x5fb3b856e0067b3c}},
    {"Atan2 of whole", Atan2, 5, {0xb91bf490df5d6ae7, 0xba22c23121bda061, 0x6efc7066ae78a524, 0x6f686bf1cf3ee10b, 0x8b4d070ecf2d9eae, 0x76f000e8483aa61f, 0xf932e567ed42d472, 0xc3f0d9ae06ecdaba}},
    {"Atan2 of half", Atan2, 6, {0xbf3d8a0f6cbc5611, 0x5712194041f77847, 0x9e246a4471c77d84, 0x71e147ffb64680a3, 0xf5ee806472d76c7a, 0x4e972f2cb61edef2, 0xd8c6a621f8081ef9, 0x4c50c3564938e704}},
    {"Atan2 of small", Atan2, 7, {0xc6b0ac3232bed87e, 0xeb75cd3fc6b5d022, 0x4483e27b3b0b9a91, 0xe006d6ff1c29985b, 0x328b88f45a376056, 0x45bd906327280ee4, 0x7401d94b755185df, 0xf9079770bfebe825}},
  };
  // clang-format on
  for (const Row& row : kRows) {
    for (size_t second = 0; second < kKinds; ++second) {
      Source source(100 + row.first * kKinds + second);
      Checksum sum;
      for (int i = 0; i < kPerKind; ++i) {
        const double x = Draw(row.first, &source);
        sum.Add(row.fn(x, Draw(second, &source)));
      }
      EXPECT_EQ(sum.hash(), row.sums[second]) << row.name << " and kind " << second;
    }
  }
}

// Answers of Prometheus, to the last bit.
TEST(GoMath, Examples) {
  EXPECT_EQ(Log(kSmallest), -709.0895657128241);  // Where -744.44 were right.
  EXPECT_EQ(Log(1e16), 36.841361487904734);
  EXPECT_EQ(Log10(kSmallest), -307.9536855642528);
  EXPECT_EQ(Log10(0.1), -0.9999999999999999);
  EXPECT_EQ(Log10(3), 0.4771212547196624);
  EXPECT_EQ(Log2(kSmallest), -1074);
  for (int exponent = -1000; exponent <= 1000; ++exponent) {
    EXPECT_EQ(Log2(std::ldexp(1, exponent)), exponent);
  }
  EXPECT_EQ(Exp(1), 2.718281828459045);
  EXPECT_EQ(Exp(-745), kSmallest);
  EXPECT_EQ(Pow(1767227706.811, 31), 4.63519348025868e+286);
}

TEST(GoMath, Extremes) {
  const double nan = std::nan("");
  for (double (*log)(double) : {Log, Log2, Log10}) {
    EXPECT_EQ(log(0.0), -kInf);
    EXPECT_EQ(log(-0.0), -kInf);
    EXPECT_EQ(log(kInf), kInf);
    EXPECT_TRUE(std::isnan(log(-1)));
    EXPECT_TRUE(std::isnan(log(-kInf)));
    EXPECT_TRUE(std::isnan(log(nan)));
    EXPECT_EQ(log(1), 0);
  }
  EXPECT_EQ(Exp(-kInf), 0);
  EXPECT_EQ(Exp(-1e300), 0);
  EXPECT_EQ(Exp(kInf), kInf);
  EXPECT_EQ(Exp(710), kInf);
  EXPECT_EQ(Exp2(-kInf), 0);
  EXPECT_EQ(Exp2(1024), kInf);
  for (double (*odd)(double) : {Sin, Tan, Asin, Atan, Sinh, Tanh, Asinh, Atanh}) {
    EXPECT_EQ(odd(0.0), 0);
    EXPECT_FALSE(std::signbit(odd(0.0)));
    EXPECT_EQ(odd(-0.25), -odd(0.25));
    EXPECT_TRUE(std::isnan(odd(nan)));
  }
  for (double (*circular)(double) : {Sin, Cos, Tan}) {
    EXPECT_TRUE(std::isnan(circular(kInf)));
    EXPECT_TRUE(std::isnan(circular(-kInf)));
    EXPECT_TRUE(std::isfinite(circular(std::numeric_limits<double>::max())));
  }
  // Every pair of arguments that has a rule of its own behaves as C's functions.
  const double odd[] = {0.0, -0.0, 1, -1, 0.5, -0.5, 2, 3, -3, kInf, -kInf, nan, 1e300, -1e300};
  for (const double x : odd) {
    for (const double y : odd) {
      SCOPED_TRACE(testing::Message() << x << " and " << y);
      Checksum ours;
      Checksum theirs;
      if (std::isnan(x) || std::isnan(y) || std::isinf(x) || std::isinf(y) || x == 0 || y == 0) {
        ours.Add(Pow(x, y));
        theirs.Add(std::pow(x, y));
        ours.Add(Atan2(y, x));
        theirs.Add(std::atan2(y, x));
      }
      EXPECT_EQ(ours.hash(), theirs.hash());
    }
  }
}

}  // namespace
}  // namespace narthex::go
