"""The evaluator as Triton kernels: what native/kernel.h and native/tails.h do, lane by lane.

This file needs triton, so nothing but `plie.compiled.gpu` imports it, and late. The kernels are
launched without the compiler's own fusing of products and sums: where one rounding is meant it
says fma, as the C++ does, and so the bits are the same.

What an element costs, beside its own bytes (8 forward and 12 backward in float32, half of that
in 16 bits); estimates, before any measurement. An H100 that copies at 2.9 TB/s gives each of
its 132 multiprocessors, at 1.98 GHz, 0.7 cycles for an element of 8 bytes. In these it issues
90 instructions, and in those for 32 elements it reads 128 bytes of its first cache 22 times:

- Cells: one gather for the border, one for the centre, one for each coefficient, ten at degree
  7. A row of the table is one line of 128 bytes in which each segment has a bank of its own, so
  a gather takes one cycle for 32 elements, whatever they are. That, the load and the store are
  12 of 22; instructions are about half of what there is room for.
- Trees: the root and its two children are arguments, so 32 segments take three gathers to be
  found: 14 with degree 9, 16 of 22.
- 16 bits: the polynomial would take 12 of 11, and 45 instructions of 45, before it had rounded.
  A gather from all 65,536 results takes as many cycles as a quarter of the lines it touches, or
  as the fullest bank: four of 11 for 32 normal numbers in bfloat16, nine for 32 random patterns
  (four lines may be looked up in a cycle). It also is the right result by construction.
"""

import triton
import triton.language as tl

ROW = tl.constexpr(32)  # numbers in a row of the core: one for each segment
LAW = tl.constexpr(9)  # numbers that say what holds far out on one side
WIDE = tl.constexpr(10)  # numbers in one segment of the wide table
TERMS = tl.constexpr(14)  # of the exponential series, which stand behind both laws
CELL_BITS = tl.constexpr(20)  # of the mantissa that do not choose a wide segment


@triton.jit
def _read(pointer, at, left, BLOCK: tl.constexpr):
    """A block of what is read once. A full one without a mask, so that it is read in 16 bytes.

    It is the first to leave the first cache, where the tables are to stay.
    """
    if left >= BLOCK:
        x = tl.load(pointer + at, eviction_policy="evict_first")
    else:
        x = tl.load(pointer + at, mask=at < left, other=0)
    return x


@triton.jit
def _write(pointer, at, y, left, BLOCK: tl.constexpr):
    if left >= BLOCK:
        tl.store(pointer + at, y)
    else:
        tl.store(pointer + at, y, mask=at < left)


@triton.jit
def _found(x, rows, a, b, c, d, LEVELS: tl.constexpr):
    """The number of each x's segment."""
    if LEVELS == 0:
        inside = tl.minimum(tl.maximum(x, a), b)
        cell = tl.fma(inside, c, d).to(tl.int32, bitcast=True) & 15
        return cell + tl.where(x >= tl.load(rows + cell), 16, 0)
    right = x >= a
    at = 4 + tl.where(right, 2, 0) + tl.where(x >= tl.where(right, c, b), 1, 0)
    for _ in tl.static_range(LEVELS - 2):
        at = 2 * at + tl.where(x >= tl.load(rows + at), 1, 0)
    return at - (1 << LEVELS)


@triton.jit
def _polynomial(x, at, rows, DEGREE: tl.constexpr, FINE: tl.constexpr):
    """By Horner's rule in x − centre; with ``FINE`` the last two steps carry what they round."""
    here = rows + at
    t = x - tl.load(here + ROW)
    coef = here + 2 * ROW
    y = tl.load(coef + DEGREE * ROW)
    for i in tl.static_range(DEGREE - 1, 1 if FINE else -1, -1):
        y = tl.fma(y, t, tl.load(coef + i * ROW))
    if FINE:
        high = tl.load(coef + ROW)
        sum1 = tl.fma(y, t, high)
        rest = tl.fma(y, t, high - sum1) + tl.load(coef + (DEGREE + 1) * ROW)
        y = tl.fma(sum1, t, tl.fma(rest, t, tl.load(coef)))
    return y


@triton.jit
def _exponential(x, terms):
    """e^x in float64: the operations of native/tails.h."""
    inside = tl.minimum(tl.maximum(x, -800.0), 800.0)
    magic = tl.full((), 6755399441055744.0, tl.float64)  # 1.5·2⁵²: leaves the whole part
    n = (inside * tl.full((), 1.4426950408889634, tl.float64) + magic) - magic
    r = tl.fma(n, tl.full((), -0.6931471803691238, tl.float64), inside)
    r = tl.fma(n, tl.full((), -1.9082149292705877e-10, tl.float64), r)
    total = r * 0.0 + tl.load(terms + TERMS - 1)
    for i in tl.static_range(TERMS - 2, -1, -1):
        total = tl.fma(total, r, tl.load(terms + i))
    # Two powers of two: one alone may lie outside of float64 where the result does not.
    whole = n.to(tl.int64)
    half = whole >> 1
    first = ((half + 1023) << 52).to(tl.float64, bitcast=True)
    second = ((whole - half + 1023) << 52).to(tl.float64, bitcast=True)
    y = tl.where(x > 800.0, float("inf"), total * first * second)
    return tl.where(x < -800.0, 0.0, y)


@triton.jit
def _told(law, i, missing):
    """One number of what holds far out, for the lanes that ask; of the others nothing is read."""
    return tl.load(law + i, mask=missing, other=0.0)


@triton.jit
def _segment(size, law, missing, wide):
    """Which lanes lie in the wide table, and where their segments are."""
    cell = size.to(tl.int32, bitcast=True) >> CELL_BITS
    cell -= _told(law, 5, missing).to(tl.int32)
    inside = missing & (cell >= 0) & (cell < _told(law, 6, missing).to(tl.int32))
    start = _told(law, 7, missing).to(tl.int32)
    return inside, wide + tl.where(inside, start + cell, 0) * WIDE


@triton.jit
def _power(size, law, missing):
    """The logarithm of |x|^p, in two parts: its product's rounding error is not lost."""
    power = _told(law, 4, missing)
    log = tl.log(tl.where(missing & (size < float("inf")), size, 1.0).to(tl.float64))
    product = power * log
    return product, tl.fma(power, log, -product)


@triton.jit
def _line(x, law, missing):
    slope, offset = _told(law, 1, missing), _told(law, 2, missing)
    return tl.where(slope == 0.0, offset, slope * x + offset)


@triton.jit
def _slow(x, missing, laws, wide):
    """The wide table, and the closed form beyond it: native/tails.h."""
    law = laws + tl.where(x > 0, LAW, 0)
    size = tl.abs(x)
    wide_x = x.to(tl.float64)
    inside, segment = _segment(size, law, missing, wide)
    t = wide_x - _told(segment, 1, inside)
    y = _told(segment, 9, inside)
    for i in tl.static_range(8, 1, -1):
        y = tl.fma(y, t, _told(segment, i, inside))
    product, rest = _power(size, law, missing)
    # One exponential for both: each lane needs it for one at most.
    curved = _exponential(tl.where(inside, y, product), laws + 2 * LAW)
    sign, scale = _told(segment, 0, inside), _told(law, 3, missing)
    y = tl.where(sign == 0.0, y, sign * curved)
    curved += tl.where(curved < float("inf"), curved * rest, 0.0)
    beyond = _line(wide_x, law, missing) + tl.where(scale == 0.0, 0.0, scale * curved)
    y = tl.where(inside, y, beyond)
    y = tl.where(size == float("inf"), _told(law, 0, missing), y).to(tl.float32)
    y = tl.where(_told(law, 8, missing) != 0.0, float("nan"), y)
    return tl.where(x != x, x, y)


@triton.jit
def _whole(x, at, rows, laws, wide, DEGREE: tl.constexpr, FINE: tl.constexpr):
    """The core, and the wide table if some lane needs it."""
    y = _polynomial(x, at, rows, DEGREE, FINE)
    missing = y != y
    if tl.max(missing.to(tl.int32), axis=0) > 0:
        y = tl.where(missing, _slow(x, missing, laws, wide), y)
    return y


@triton.jit
def evaluate(
    x_pointer,
    grad_pointer,
    out_pointer,
    count,
    rows,
    laws,
    wide,
    a,
    b,
    c,
    d,
    LEVELS: tl.constexpr,
    DEGREE: tl.constexpr,
    FINE: tl.constexpr,
    BACKWARD: tl.constexpr,
    BLOCK: tl.constexpr,
    PART: tl.constexpr,
):
    """float32: out = f(x), or grad·f(x)."""
    # In 64 bits: 2³¹ elements and more are allowed, but not within a block.
    begin = tl.program_id(0).to(tl.int64) * BLOCK
    left = count - begin
    at = tl.arange(0, BLOCK)
    x = _read(x_pointer + begin, at, left, BLOCK)
    y = _polynomial(x, _found(x, rows, a, b, c, d, LEVELS), rows, DEGREE, FINE)
    if tl.max((y != y).to(tl.int32), axis=0) == 0:
        if BACKWARD:
            y = _read(grad_pointer + begin, at, left, BLOCK) * y
        _write(out_pointer + begin, at, y, left, BLOCK)
    else:
        # Again, a part at a time, and in a loop: written out for a whole block this takes all
        # the registers there are, and then few blocks run at once even if none comes here.
        for part in range(0, BLOCK, PART):
            some = part + tl.arange(0, PART)
            inside = some < left
            x_part = tl.load(x_pointer + begin + some, mask=inside, other=0)
            found = _found(x_part, rows, a, b, c, d, LEVELS)
            y_part = _whole(x_part, found, rows, laws, wide, DEGREE, FINE)
            if BACKWARD:
                y_part *= tl.load(grad_pointer + begin + some, mask=inside, other=0)
            tl.store(out_pointer + begin + some, y_part, mask=inside)


@triton.jit
def _product(grad, slope, BRAIN: tl.constexpr):
    """The product in float32, rounded to nearest even; ``BRAIN``: bfloat16, as patterns.

    Those are rounded by hand, as native/half.h does it: a processor's own conversion may flush
    subnormal numbers.
    """
    if BRAIN:
        y = (grad.to(tl.int32) << 16).to(tl.float32, bitcast=True) * slope
        bits = y.to(tl.int32, bitcast=True)
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        product = tl.where(y != y, 0x7FC0, rounded).to(tl.int16)
    else:
        product = (grad.to(tl.float32) * slope).to(tl.float16)
    return product


@triton.jit
def gather(
    x_pointer,
    grad_pointer,
    out_pointer,
    count,
    results,
    BACKWARD: tl.constexpr,
    BRAIN: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """16 bits: out = results[x], or grad·results[x] in float32, rounded once.

    x, the results forward, and bfloat16 are given as patterns, of no type.
    """
    begin = tl.program_id(0).to(tl.int64) * BLOCK
    left = count - begin
    at = tl.arange(0, BLOCK)
    x = _read(x_pointer + begin, at, left, BLOCK)
    y = tl.load(results + (x.to(tl.int32) & 0xFFFF))
    if BACKWARD:
        y = _product(_read(grad_pointer + begin, at, left, BLOCK), y, BRAIN)
    _write(out_pointer + begin, at, y, left, BLOCK)
