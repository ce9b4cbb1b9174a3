// Runs one table on a file of floats by the instruction set named: what test_neon.py emulates.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

extern "C" int plie_run(const void* table, const float* x, const float* grad, float* out, int64_t n,
                        int threads);
extern "C" const char* plie_set_path(const char* name);

static std::vector<char> content(const char* name) {
  std::FILE* file = std::fopen(name, "rb");
  if (!file) std::exit(3);
  std::fseek(file, 0, SEEK_END);
  std::vector<char> bytes(static_cast<size_t>(std::ftell(file)));
  std::rewind(file);
  if (std::fread(bytes.data(), 1, bytes.size(), file) != bytes.size()) std::exit(3);
  std::fclose(file);
  return bytes;
}

int main(int, char** names) {
  if (std::strcmp(plie_set_path(names[1]), names[1]) != 0) return 4;
  const std::vector<char> table = content(names[2]), x = content(names[3]);
  void* aligned = std::aligned_alloc(64, (table.size() + 63) / 64 * 64);
  std::memcpy(aligned, table.data(), table.size());
  const auto* from = reinterpret_cast<const float*>(x.data());
  const int64_t n = static_cast<int64_t>(x.size() / sizeof(float));
  std::vector<float> y(static_cast<size_t>(n));
  for (const float* grad : {static_cast<const float*>(nullptr), from}) {
    plie_run(aligned, from, grad, y.data(), n, 1);
    std::fwrite(y.data(), sizeof(float), y.size(), stdout);
  }
  std::free(aligned);
}
