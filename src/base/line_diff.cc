// SPDX-License-Identifier: MPL-2.0
//
// Myers, "An O(ND) Difference Algorithm and Its Variations" (1986): the furthest point on each diagonal k = x - y that
// d insertions and deletions reach, for growing d, until one of them is the end of both texts.
#include "base/line_diff.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/text.h"

namespace sops {

namespace {

constexpr size_t kContext = 3;       // equal lines around a change
constexpr size_t kMostSteps = 1000;  // beyond, everything between the equal ends counts as changed

using Lines = std::vector<std::string_view>;

Lines lines_of(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// For each line of `before` and of `after` whether it has no partner in the other.
struct Changes {
  std::vector<bool> gone;
  std::vector<bool> came;
};

// Marks the changes of before[begin, before_end) against after[begin, after_end).
void mark_changes(const Lines& before, const Lines& after, size_t begin, size_t before_end, size_t after_end,
                  Changes& changes) {
  const auto width = static_cast<ptrdiff_t>(before_end - begin);
  const auto height = static_cast<ptrdiff_t>(after_end - begin);
  const auto most = std::min(width + height, static_cast<ptrdiff_t>(kMostSteps));
  std::vector<std::vector<ptrdiff_t>> rounds;  // rounds[d][k + d]: furthest x on diagonal k
  const auto reach = [&](ptrdiff_t d, ptrdiff_t k) {
    if (d == 0) return ptrdiff_t{0};
    const std::vector<ptrdiff_t>& last = rounds[static_cast<size_t>(d - 1)];
    const auto at = [&](ptrdiff_t diagonal) { return last[static_cast<size_t>(diagonal + d - 1)]; };
    const bool down = k == -d || (k != d && at(k - 1) < at(k + 1));
    return down ? at(k + 1) : at(k - 1) + 1;
  };
  for (ptrdiff_t d = 0; d <= most; ++d) {
    std::vector<ptrdiff_t> round(static_cast<size_t>(2 * d + 1), -1);
    for (ptrdiff_t k = -d; k <= d; k += 2) {
      ptrdiff_t x = reach(d, k);
      while (x < width && x - k < height && x - k >= 0 &&
             before[begin + static_cast<size_t>(x)] == after[begin + static_cast<size_t>(x - k)]) {
        ++x;
      }
      round[static_cast<size_t>(k + d)] = x;
    }
    rounds.push_back(std::move(round));
    const ptrdiff_t end = width - height;
    if (std::abs(end) > d || (d - end) % 2 != 0 || rounds.back()[static_cast<size_t>(end + d)] < width) continue;
    // Back along the steps that led here.
    ptrdiff_t k = end;
    for (ptrdiff_t step = d; step > 0; --step) {
      const std::vector<ptrdiff_t>& last = rounds[static_cast<size_t>(step - 1)];
      const auto at = [&](ptrdiff_t diagonal) { return last[static_cast<size_t>(diagonal + step - 1)]; };
      const bool down = k == -step || (k != step && at(k - 1) < at(k + 1));
      const ptrdiff_t from = down ? at(k + 1) : at(k - 1);
      k = down ? k + 1 : k - 1;
      if (down) {
        changes.came[begin + static_cast<size_t>(from - k)] = true;
      } else {
        changes.gone[begin + static_cast<size_t>(from)] = true;
      }
    }
    return;
  }
  std::fill(changes.gone.begin() + static_cast<ptrdiff_t>(begin),
            changes.gone.begin() + static_cast<ptrdiff_t>(before_end), true);
  std::fill(changes.came.begin() + static_cast<ptrdiff_t>(begin),
            changes.came.begin() + static_cast<ptrdiff_t>(after_end), true);
}

}  // namespace

void append_line_diff(std::string_view before, std::string_view after, SecureBuffer& out) {
  const Lines old_lines = lines_of(before);
  const Lines new_lines = lines_of(after);
  Changes changes{.gone = std::vector<bool>(old_lines.size()), .came = std::vector<bool>(new_lines.size())};
  size_t begin = 0;
  size_t old_end = old_lines.size();
  size_t new_end = new_lines.size();
  while (begin < old_end && begin < new_end && old_lines[begin] == new_lines[begin]) ++begin;
  while (old_end > begin && new_end > begin && old_lines[old_end - 1] == new_lines[new_end - 1]) --old_end, --new_end;
  mark_changes(old_lines, new_lines, begin, old_end, new_end, changes);

  // All lines in one list, then those near a change.
  struct Line {
    char mark;
    std::string_view text;
    size_t number;  // in the new text
  };
  std::vector<Line> all;
  for (size_t i = 0, k = 0; i < old_lines.size() || k < new_lines.size();) {
    if (i < old_lines.size() && changes.gone[i]) {
      all.push_back({'-', old_lines[i++], k + 1});
    } else if (k < new_lines.size() && changes.came[k]) {
      all.push_back({'+', new_lines[k], k + 1});
      ++k;
    } else {
      all.push_back({' ', new_lines[k], k + 1});
      ++i, ++k;
    }
  }
  std::vector<bool> is_near(all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].mark == ' ') continue;
    for (size_t near = i - std::min(i, kContext); near < std::min(i + kContext + 1, all.size()); ++near)
      is_near[near] = true;
  }
  for (size_t i = 0; i < all.size(); ++i) {
    if (!is_near[i]) continue;
    if (i == 0 || !is_near[i - 1]) out.append(format("@@ line {} @@\n", all[i].number));
    out.append(1, all[i].mark);
    out.append(all[i].text);
    out.append("\n");
  }
  if (all.empty() || before == after) return;
  if (old_lines == new_lines) out.append("(the last line break)\n");
}

}  // namespace sops
