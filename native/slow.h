// One value at a time, in plain C++, the same everywhere.
#pragma once
#include "table.h"

namespace plie {

// Through the wide table: far tails, infinities, NaN. Sets open where the table has no answer.
float slow(const Table& table, float x, bool& open);

// Through the core, then where that ends the wide table: what lies beyond the grid.
float beyond_grid(const Table& table, float x, bool& open);

}  // namespace plie
