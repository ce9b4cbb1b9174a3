// One value through the wide table: far tails, infinities, NaN. Plain C++, the same everywhere.
#pragma once
#include "table.h"

namespace plie {

// Sets open where the table has no answer.
float slow(const Table& table, float x, bool& open);

}  // namespace plie
