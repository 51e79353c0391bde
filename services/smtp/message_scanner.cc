#include "services/smtp/message_scanner.h"

#include "services/base/strings.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace gatepost::smtp {
namespace {

// Bit i stands for octet i of a block of 64.
struct BlockMasks {
  uint64_t cr = 0;
  uint64_t lf = 0;
  uint64_t nul = 0;
  uint64_t dot = 0;
};

#ifdef __SSE2__
uint64_t Matches(const __m128i (&block)[4], char octet) {
  const __m128i wanted = _mm_set1_epi8(octet);
  uint64_t mask = 0;
  for (int i = 0; i < 4; ++i) {
    mask |= static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(block[i], wanted))))
            << (16 * i);
  }
  return mask;
}

BlockMasks Classify(const char* octets) {
  __m128i block[4];
  for (size_t i = 0; i < 4; ++i) block[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(octets + 16 * i));
  return {Matches(block, '\r'), Matches(block, '\n'), Matches(block, '\0'), Matches(block, '.')};
}
#else
BlockMasks Classify(const char* octets) {
  BlockMasks masks;
  for (size_t i = 0; i < kPlainBlock; ++i) {
    masks.cr |= static_cast<uint64_t>(octets[i] == '\r') << i;
    masks.lf |= static_cast<uint64_t>(octets[i] == '\n') << i;
    masks.nul |= static_cast<uint64_t>(octets[i] == '\0') << i;
    masks.dot |= static_cast<uint64_t>(octets[i] == '.') << i;
  }
  return masks;
}
#endif

}  // namespace

void HeaderScanner::Octet(char octet) {
  if (matched_ < kName.size()) {
    matched_ = base::ToLower(octet) == kName[matched_] ? matched_ + 1 : kDecided;
  } else if (octet == ':') {
    ++received_fields_;
    matched_ = kDecided;
  } else if (octet != ' ' && octet != '\t') {
    matched_ = kDecided;
  }
}

size_t FindLineOctet(std::string_view octets) {
  size_t i = 0;
#ifdef __SSE2__
  const __m128i cr = _mm_set1_epi8('\r');
  const __m128i lf = _mm_set1_epi8('\n');
  const __m128i nul = _mm_setzero_si128();
  for (; i + 16 <= octets.size(); i += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(octets.data() + i));
    const __m128i found =
        _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(block, cr), _mm_cmpeq_epi8(block, lf)), _mm_cmpeq_epi8(block, nul));
    const int mask = _mm_movemask_epi8(found);
    if (mask != 0) return i + static_cast<size_t>(__builtin_ctz(static_cast<unsigned>(mask)));
  }
#endif
  for (; i < octets.size(); ++i) {
    if (octets[i] == '\r' || octets[i] == '\n' || octets[i] == '\0') break;
  }
  return i;
}

size_t SkipPlain(std::string_view octets, bool line_start, bool dots) {
  const uint64_t watch_dots = dots ? ~uint64_t{0} : 0;
  uint64_t after_cr = 0;  // bit 0: the octet before the block is CR
  uint64_t after_lf = line_start ? 1 : 0;
  size_t i = 0;
  for (; i + kPlainBlock <= octets.size(); i += kPlainBlock) {
    const BlockMasks block = Classify(octets.data() + i);
    const uint64_t out_of_place = block.lf ^ (block.cr << 1 | after_cr);
    const uint64_t dot_lines = block.dot & (block.lf << 1 | after_lf) & watch_dots;
    if ((out_of_place | block.nul | dot_lines) != 0) break;
    after_cr = block.cr >> 63;
    after_lf = block.lf >> 63;
  }
  return i - static_cast<size_t>(after_cr);
}

}  // namespace gatepost::smtp
