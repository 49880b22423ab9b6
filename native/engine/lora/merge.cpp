#include "merge.h"

#include <algorithm>
#include <set>

#include "kernel.h"

namespace nd::lora {
namespace {

constexpr size_t blockElements = size_t{1} << 18;

template <typename Number>
using Part = LowRank<Number>;

}  // namespace

size_t blockRows(const Shape& shape) {
  return std::clamp<size_t>(blockElements / std::max<size_t>(1, shape.columns), 1,
                            std::max<size_t>(1, shape.rows));
}

size_t blockCount(const Shape& shape) {
  const size_t rows = blockRows(shape);
  return (shape.rows + rows - 1) / rows;
}

struct Merger::Prepared {
  std::vector<Part<float>> narrow;
  std::vector<Part<double>> exact;
};

Merger::Merger(const TargetSpec& spec, std::vector<std::shared_ptr<const LoraFile>> files, Codec codec,
               Shape shape)
    : spec_(spec),
      files_(std::move(files)),
      codec_(codec),
      shape_(shape),
      blockwise_(std::all_of(spec.deltas.begin(), spec.deltas.end(), isLowRank)),
      left_(blockCount(shape)) {}

Merger::~Merger() = default;

void Merger::prepare() {
  prepared_ = std::make_unique<Prepared>();
  for (size_t i = 0; i < spec_.deltas.size(); ++i) {
    if (codec_.type() == GGML_TYPE_F32)
      prepared_->exact.push_back(lowRankOf<double>(spec_.deltas[i], *files_[i], shape_.columns));
    else
      prepared_->narrow.push_back(lowRankOf<float>(spec_.deltas[i], *files_[i], shape_.columns));
  }
}

namespace {

// Rows [first, end) of the tensor in which the same deltas are at work.
struct Segment {
  size_t first, end;
  std::vector<size_t> deltas;
};

std::vector<Segment> segmentsOf(const TargetSpec& spec, size_t first, size_t end) {
  std::set<size_t> cuts{first, end};
  for (const DeltaSpec& delta : spec.deltas) {
    const auto from = static_cast<size_t>(delta.rowOffset);
    for (const size_t cut : {from, from + static_cast<size_t>(delta.rows)})
      if (cut > first && cut < end) cuts.insert(cut);
  }
  std::vector<Segment> segments;
  for (auto at = cuts.begin(); std::next(at) != cuts.end(); ++at) {
    Segment segment{*at, *std::next(at), {}};
    for (size_t i = 0; i < spec.deltas.size(); ++i) {
      const auto from = static_cast<size_t>(spec.deltas[i].rowOffset);
      if (from <= segment.first && segment.end <= from + static_cast<size_t>(spec.deltas[i].rows))
        segment.deltas.push_back(i);
    }
    segments.push_back(std::move(segment));
  }
  return segments;
}

// The factors of several deltas as one product: ranks side by side in `up`, on top of each other in `down`.
template <typename Number>
Part<Number> joined(const TargetSpec& spec, const std::vector<Part<Number>>& parts, const Segment& segment,
                    size_t columns) {
  Part<Number> all;
  for (const size_t i : segment.deltas) all.rank += parts[i].rank;
  all.up.reserve((segment.end - segment.first) * all.rank);
  for (size_t r = segment.first; r < segment.end; ++r) {
    for (const size_t i : segment.deltas) {
      const auto row = r - static_cast<size_t>(spec.deltas[i].rowOffset);
      const auto from = parts[i].up.begin() + static_cast<std::ptrdiff_t>(row * parts[i].rank);
      all.up.insert(all.up.end(), from, from + static_cast<std::ptrdiff_t>(parts[i].rank));
    }
  }
  if (segment.deltas.size() == 1) return all;  // the caller uses that delta's own `down`
  all.down.reserve(all.rank * columns);
  for (const size_t i : segment.deltas)
    all.down.insert(all.down.end(), parts[i].down.begin(), parts[i].down.end());
  return all;
}

}  // namespace

void Merger::mergeBlock(size_t first, size_t rows, uint8_t* bytes) {
  std::call_once(once_, [this] { prepare(); });
  const size_t columns = shape_.columns;
  for (const Segment& segment : segmentsOf(spec_, first, first + rows)) {
    if (segment.deltas.empty()) continue;
    const size_t count = segment.end - segment.first;
    uint8_t* at = bytes + codec_.bytes((segment.first - first) * columns);
    if (codec_.type() == GGML_TYPE_F32) {
      const Part<double> all = joined(spec_, prepared_->exact, segment, columns);
      const auto& down = segment.deltas.size() == 1 ? prepared_->exact[segment.deltas[0]].down : all.down;
      mergeFloatExact(at, at, count, columns, all.rank, all.up.data(), down.data());
      continue;
    }
    const Part<float> all = joined(spec_, prepared_->narrow, segment, columns);
    const auto& down = segment.deltas.size() == 1 ? prepared_->narrow[segment.deltas[0]].down : all.down;
    if (codec_.type() == GGML_TYPE_F16) {
      mergeHalf(at, at, count, columns, all.rank, all.up.data(), down.data());
    } else if (codec_.type() == GGML_TYPE_BF16) {
      mergeBrainHalf(at, at, count, columns, all.rank, all.up.data(), down.data());
    } else {
      std::vector<float> wide(count * columns);
      codec_.toFloat(at, wide.data(), wide.size());
      auto* raw = reinterpret_cast<uint8_t*>(wide.data());
      mergeFloat(raw, raw, count, columns, all.rank, all.up.data(), down.data());
      codec_.fromFloat(wide.data(), at, count, columns);
    }
  }
  if (left_.fetch_sub(1) == 1) prepared_.reset();
}

void Merger::mergeWhole(const ReadRows& read,
                        const std::function<void(size_t, size_t, const uint8_t*)>& write) {
  const size_t columns = shape_.columns;
  const size_t step = blockRows(shape_);
  std::vector<float> original(shape_.rows * columns);
  std::vector<uint8_t> bytes(codec_.bytes(step * columns));
  for (size_t first = 0; first < shape_.rows; first += step) {
    const size_t rows = std::min(step, shape_.rows - first);
    read(first, rows, bytes.data());
    codec_.toFloat(bytes.data(), original.data() + first * columns, rows * columns);
  }
  std::vector<std::unique_ptr<Delta>> deltas;
  for (size_t i = 0; i < spec_.deltas.size(); ++i) {
    const DeltaSpec& delta = spec_.deltas[i];
    deltas.push_back(makeDelta(delta, *files_[i],
                               original.data() + static_cast<size_t>(delta.rowOffset) * columns, columns));
  }
  std::vector<double> sums(columns);
  std::vector<float> rounded(step * columns);
  for (size_t first = 0; first < shape_.rows; first += step) {
    const size_t rows = std::min(step, shape_.rows - first);
    for (size_t r = first; r < first + rows; ++r) {
      const float* line = original.data() + r * columns;
      for (size_t c = 0; c < columns; ++c) sums[c] = static_cast<double>(line[c]);
      for (size_t i = 0; i < deltas.size(); ++i) {
        const auto from = static_cast<size_t>(spec_.deltas[i].rowOffset);
        if (r >= from && r < from + static_cast<size_t>(spec_.deltas[i].rows))
          deltas[i]->addRow(r - from, line, sums.data());
      }
      for (size_t c = 0; c < columns; ++c) rounded[(r - first) * columns + c] = static_cast<float>(sums[c]);
    }
    codec_.fromFloat(rounded.data(), bytes.data(), rows, columns);
    write(first, rows, bytes.data());
  }
}

}  // namespace nd::lora
