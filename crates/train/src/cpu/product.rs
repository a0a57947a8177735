//! Matrix products on slices, one thread each: callers cut the rows or columns of a product among threads, which
//! changes no bit, since each element is one sum over k in a fixed order.
//!
//! The right factor is packed once into panels and then used for many rows; the left one is read in place, by
//! rows or by columns. On AVX-512 a tile of the result stays in registers (up to 6 rows of 64 columns); elsewhere
//! the `gemm` crate does the same work. With [`Precision::Bf16`] both factors are rounded to `bf16` and pairs of
//! products are added to `f32` sums, which needs AVX512_BF16.

use std::cell::RefCell;
use std::mem::MaybeUninit;

use scalelaw_schema::recipe::Precision;

use crate::cpu::simd::{Level, for_each_level, level};

/// Columns of a panel.
pub const PANEL: usize = 64;
/// Steps of k for which a tile is held in registers: a panel of so many rows is 64 KiB, a part of the L2 cache.
pub const K_BLOCK: usize = 256;
/// Numbers of a 512-bit register.
const WIDTH: usize = 16;

/// A matrix within a slice: element (row, col) is at `row · row_stride + col · col_stride`.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows one after the other.
    pub fn new(values: &'a [f32], rows: usize, cols: usize) -> Matrix<'a> {
        Matrix::strided(values, rows, cols, cols)
    }

    /// Rows of `cols` numbers, each `row_stride` after the one before.
    ///
    /// # Panics
    /// Where the slice is too short: a bug.
    pub fn strided(values: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Matrix<'a> {
        assert!(rows == 0 || cols == 0 || (rows - 1) * row_stride + cols <= values.len(), "too short");
        Matrix { values, rows, cols, row_stride, col_stride: 1 }
    }

    /// The same numbers with rows and columns exchanged.
    pub fn transposed(self) -> Matrix<'a> {
        Matrix {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// `(rows, columns)`
    pub fn dims(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// `n` rows from `first` on.
    ///
    /// # Panics
    /// Where there are fewer: a bug.
    pub fn part(self, first: usize, n: usize) -> Matrix<'a> {
        assert!(first + n <= self.rows, "rows {first}..{} of {}", first + n, self.rows);
        Matrix { values: &self.values[(first * self.row_stride).min(self.values.len())..], rows: n, ..self }
    }

    /// `n` columns from `first` on.
    ///
    /// # Panics
    /// Where there are fewer: a bug.
    pub fn columns(self, first: usize, n: usize) -> Matrix<'a> {
        self.transposed().part(first, n).transposed()
    }

    fn at(&self, row: usize, col: usize) -> f32 {
        self.values[row * self.row_stride + col * self.col_stride]
    }
}

/// What happens to the numbers that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// They are overwritten.
    Set,
    /// The product is added to them.
    Add,
}

/// A right factor `[k, n]`, in panels of [`PANEL`] columns: for each block of [`K_BLOCK`] rows and each panel the
/// rows one after the other, the last panel filled up with zeros to whole registers.
#[derive(Debug)]
pub struct Packed {
    precision: Precision,
    k: usize,
    n: usize,
    values: Vec<f32>,
    /// With `bf16` in place of the values: two rows at a time, the first in the lower half. Blocks have an even
    /// number of rows then, the last one filled up with zeros.
    pairs: Vec<u32>,
}

/// Whether this processor has the products of a precision.
pub fn has(precision: Precision) -> bool {
    match precision {
        Precision::F32 => true,
        Precision::Bf16 => level() >= Level::Avx512Bf16,
    }
}

impl Packed {
    /// Memory to pack into.
    ///
    /// # Panics
    /// Where the processor lacks the precision: whoever lets a user choose it asks [`has`] first.
    pub fn new(precision: Precision) -> Packed {
        assert!(has(precision), "this processor has no products of {precision:?}");
        Packed { precision, k: 0, n: 0, values: Vec::new(), pairs: Vec::new() }
    }

    /// Packs matrices side by side: all have the same number of rows.
    pub fn of(parts: &[Matrix], precision: Precision) -> Packed {
        let mut packed = Packed::new(precision);
        packed.fill(parts);
        packed
    }

    /// The same into memory that is there already.
    pub fn fill(&mut self, parts: &[Matrix]) {
        let k = parts.first().map_or(0, |part| part.rows);
        assert!(parts.iter().all(|part| part.rows == k), "factors side by side have equally many rows");
        self.k = k;
        self.n = parts.iter().map(|part| part.cols).sum();
        let width = self.n.next_multiple_of(WIDTH);
        self.values.clear();
        self.values.resize(k * width, 0.0);
        let mut first_col = 0;
        for part in parts {
            for first in (0..k).step_by(K_BLOCK) {
                let rows = K_BLOCK.min(k - first);
                pack_block(part, first, rows, first_col, width, &mut self.values[first * width..]);
            }
            first_col += part.cols;
        }
        if self.precision == Precision::Bf16 {
            self.pairs.clear();
            self.pairs.reserve(k.next_multiple_of(2) * width / 2);
            for first in (0..k).step_by(K_BLOCK) {
                let rows = K_BLOCK.min(k - first);
                let mut panels = &self.values[first * width..][..rows * width];
                for panel in (0..width).step_by(PANEL) {
                    let panel_width = PANEL.min(width - panel);
                    let (values, rest) = panels.split_at(rows * panel_width);
                    let start = self.pairs.len();
                    self.pairs.resize(start + rows.div_ceil(2) * panel_width, 0);
                    pair_rows(values, panel_width, panel_width, &mut self.pairs[start..], panel_width);
                    panels = rest;
                }
            }
        }
    }

    /// Columns.
    pub fn n(&self) -> usize {
        self.n
    }
}

/// Packs rows `first..first + rows` of `part` as columns `first_col..` of a block of `width` columns.
fn pack_block(part: &Matrix, first: usize, rows: usize, first_col: usize, width: usize, block: &mut [f32]) {
    let mut col = 0;
    while col < part.cols {
        // Where this column goes, and how many follow it in the same panel.
        let (panel, offset) = ((first_col + col) / PANEL, (first_col + col) % PANEL);
        let panel_width = PANEL.min(width - panel * PANEL);
        let n = (panel_width - offset).min(part.cols - col);
        let out = &mut block[panel * PANEL * rows..][..panel_width * rows];
        if part.col_stride == 1 {
            for (row, out) in out.chunks_exact_mut(panel_width).enumerate() {
                let from = &part.values[(first + row) * part.row_stride + col..][..n];
                out[offset..offset + n].copy_from_slice(from);
            }
        } else {
            pack_transposed(part, first, col, n, &mut out[offset..], panel_width);
        }
        col += n;
    }
}

/// Squares of 16, so that both sides are read and written a cache line at a time.
fn pack_transposed(
    part: &Matrix,
    first: usize,
    first_col: usize,
    n: usize,
    out: &mut [f32],
    panel_width: usize,
) {
    let rows = out.len().div_ceil(panel_width);
    for row_0 in (0..rows).step_by(WIDTH) {
        for col_0 in (0..n).step_by(WIDTH) {
            let (row_n, col_n) = (WIDTH.min(rows - row_0), WIDTH.min(n - col_0));
            if part.row_stride == 1 && row_n == WIDTH && col_n == WIDTH {
                let mut square = [[0f32; WIDTH]; WIDTH];
                for (col, line) in square.iter_mut().enumerate() {
                    let at = first + row_0 + (first_col + col_0 + col) * part.col_stride;
                    line.copy_from_slice(&part.values[at..at + WIDTH]);
                }
                for row in 0..WIDTH {
                    let to = &mut out[(row_0 + row) * panel_width + col_0..][..WIDTH];
                    for (to, line) in to.iter_mut().zip(&square) {
                        *to = line[row];
                    }
                }
            } else {
                for row in row_0..row_0 + row_n {
                    for col in col_0..col_0 + col_n {
                        out[row * panel_width + col] = part.at(first + row, first_col + col);
                    }
                }
            }
        }
    }
}

/// A number rounded to `bf16`, to the nearest one and to the even one of two; NaN stays NaN.
#[inline(always)]
fn to_bf16(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16;
    if x.is_nan() { 0x7FC0 } else { rounded }
}

for_each_level! {
    /// Rows `stride` apart, of which the first `n` numbers count, two at a time as pairs: the upper half of a last
    /// row without a partner is 0.
    fn pair_rows(values: &[f32], stride: usize, n: usize, pairs: &mut [u32], pairs_stride: usize) {
        for (two, pairs) in values.chunks(2 * stride).zip(pairs.chunks_mut(pairs_stride)) {
            let lower = &two[..n];
            if two.len() >= stride + n {
                for ((pair, lower), upper) in pairs[..n].iter_mut().zip(lower).zip(&two[stride..stride + n]) {
                    *pair = to_bf16(*lower) | to_bf16(*upper) << 16;
                }
            } else {
                for (pair, lower) in pairs[..n].iter_mut().zip(lower) {
                    *pair = to_bf16(*lower);
                }
            }
        }
    }
}

for_each_level! {
    /// Numbers of one row, two at a time as pairs.
    fn pair_cols(values: &[f32], pairs: &mut [u32]) {
        let (twos, rest) = values.as_chunks::<2>();
        for (pair, [lower, upper]) in pairs.iter_mut().zip(twos) {
            *pair = to_bf16(*lower) | to_bf16(*upper) << 16;
        }
        if let ([last], Some(pair)) = (rest, pairs.get_mut(twos.len())) {
            *pair = to_bf16(*last);
        }
    }
}

/// A left factor as pairs along k: pair p of row i is at `i · row_stride + p · col_stride`.
#[derive(Debug, Clone, Copy)]
struct Pairs<'a> {
    values: &'a [u32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

/// Lends a left factor in pairs.
fn with_pairs(a: Matrix, work: impl FnOnce(Pairs)) {
    thread_local! {
        static MEMORY: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    }
    MEMORY.with_borrow_mut(|memory| {
        let n_pairs = a.cols.div_ceil(2);
        if memory.len() < a.rows * n_pairs {
            memory.resize(a.rows * n_pairs, 0);
        }
        let pairs = &mut memory[..a.rows * n_pairs];
        let (row_stride, col_stride) = if a.col_stride == 1 {
            for (row, pairs) in pairs.chunks_exact_mut(n_pairs).enumerate() {
                pair_cols(&a.values[row * a.row_stride..][..a.cols], pairs);
            }
            (n_pairs, 1)
        } else {
            assert_eq!(a.row_stride, 1, "a matrix lies by rows or by columns");
            let values = &a.values[..(a.cols - 1) * a.col_stride + a.rows];
            pair_rows(values, a.col_stride, a.rows, pairs, a.rows);
            (1, a.rows)
        };
        work(Pairs { values: pairs, rows: a.rows, cols: n_pairs, row_stride, col_stride });
    });
}

/// `c = a · b`, or added to c; a `[m, k]`, b `[k, n]`, row `i` of c at `i · c_stride`.
pub fn product(a: Matrix, b: &Packed, c: &mut [f32], c_stride: usize, store: Store) {
    assert!(a.rows == 0 || b.n == 0 || (a.rows - 1) * c_stride + b.n <= c.len(), "the result is too short");
    // SAFETY: c holds the result, as was just checked, and nobody else has it.
    unsafe { product_columns(a, b, 0, b.n, c.as_mut_ptr(), c_stride, store) }
}

/// The same into memory that nobody has written, row after row; what was written there is lent back.
pub fn product_into<'a>(a: Matrix, b: &Packed, c: &'a mut [MaybeUninit<f32>]) -> &'a mut [f32] {
    assert_eq!(c.len(), a.rows * b.n, "the result has another size");
    // SAFETY: c holds the result, as was just checked, and nobody else has it. `Set` reads nothing of it and writes
    // every column of every row.
    unsafe {
        product_columns(a, b, 0, b.n, c.as_mut_ptr().cast(), b.n, Store::Set);
        c.assume_init_mut()
    }
}

/// The columns `first..first + n` of a product, to where `c` points; `first` is the start of a panel, and the last
/// column the last one of a panel. Where a has fewer columns than b has rows, the first rows of b are taken.
///
/// With [`Store::Set`] all of these numbers are written and none is read.
///
/// # Safety
/// `c` must be good for writes of `a.rows` rows of `n` numbers, `c_stride` apart, and nobody else may touch them;
/// with [`Store::Add`] they must have been written.
pub unsafe fn product_columns(
    a: Matrix,
    b: &Packed,
    first: usize,
    n: usize,
    c: *mut f32,
    c_stride: usize,
    store: Store,
) {
    assert!(a.cols <= b.k, "{} rows for {} columns", b.k, a.cols);
    let end = first + n;
    let is_whole = first.is_multiple_of(PANEL) && (end.is_multiple_of(PANEL) || end == b.n);
    assert!(is_whole && end <= b.n, "columns {first}..{end} of {}", b.n);
    let last = (a.rows.max(1) - 1) * a.row_stride + (a.cols.max(1) - 1) * a.col_stride;
    assert!(a.rows == 0 || a.cols == 0 || last < a.values.len(), "the left factor is too short");
    let width = b.n.next_multiple_of(WIDTH);
    if a.cols == 0 && store == Store::Set {
        for row in 0..a.rows {
            // SAFETY: the caller's promise; all bits zero are 0.0.
            unsafe { c.add(row * c_stride).write_bytes(0, n) };
        }
    }
    for k_0 in (0..a.cols).step_by(K_BLOCK) {
        let k = K_BLOCK.min(a.cols - k_0);
        let block_rows = K_BLOCK.min(b.k - k_0);
        let store = if k_0 == 0 { store } else { Store::Add };
        #[cfg(target_arch = "x86_64")]
        if b.precision == Precision::Bf16 {
            // Blocks before this one are whole, of an even number of rows.
            let block = &b.pairs[k_0 / 2 * width..];
            let a = Matrix { values: &a.values[k_0 * a.col_stride..], cols: k, ..a };
            with_pairs(a, |a| {
                for col in (first..end).step_by(PANEL) {
                    let panel_width = PANEL.min(width - col);
                    let panel = &block[col * block_rows.div_ceil(2)..][..a.cols * panel_width];
                    // SAFETY: the caller's promise for c; a holds `rows` by `cols` pairs and the panel `cols` rows of
                    // them; the processor has the products, since the factor could be packed.
                    unsafe {
                        let (c, n) = (c.add(col - first), PANEL.min(end - col));
                        bf16::panel_product(a, panel, panel_width, c, c_stride, n, store);
                    }
                }
            });
            continue;
        }
        for col in (first..end).step_by(PANEL) {
            let panel_width = PANEL.min(width - col);
            let panel = &b.values[k_0 * width + col * block_rows..][..k * panel_width];
            let a = Matrix { values: &a.values[k_0 * a.col_stride..], cols: k, ..a };
            // SAFETY: the caller's promise for c; a holds `rows` by `k` numbers and the panel `k` rows.
            unsafe {
                panel_product(
                    a,
                    panel,
                    panel_width,
                    c.add(col - first),
                    c_stride,
                    PANEL.min(end - col),
                    store,
                );
            }
        }
    }
}

/// One panel: `n` of its `width` columns are written.
///
/// # Safety
/// As [`product_columns`] for `c` with these `n` columns; the panel must have `a.cols` rows of `width` numbers, and
/// the strides of `a` must stay within its values.
unsafe fn panel_product(
    a: Matrix,
    panel: &[f32],
    width: usize,
    c: *mut f32,
    c_stride: usize,
    n: usize,
    store: Store,
) {
    #[cfg(target_arch = "x86_64")]
    if level() >= Level::Avx512 {
        // SAFETY: the caller's promises, and the processor has AVX-512.
        return unsafe { avx512::panel_product(a, panel, width, c, c_stride, n, store) };
    }
    // SAFETY: the caller's promises; without `read_dst` nothing of `c` is read.
    unsafe {
        gemm::gemm(
            a.rows,
            n,
            a.cols,
            c,
            1,
            c_stride as isize,
            store == Store::Add,
            a.values.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            panel.as_ptr(),
            1,
            width as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Defines a module with `panel_product` for one kind of factor: its numbers, the instructions it needs, and how a
/// register of the right factor is read, a number of the left one spread over a register, and both multiplied.
#[cfg(target_arch = "x86_64")]
macro_rules! tiles {
    ($name:ident, $number:ty, $left:ident, $features:literal, $load:expr, $spread:expr, $multiply:expr) => {
        mod $name {
            use std::arch::x86_64::*;

            use super::{Store, WIDTH};

            /// A tile of `R` rows by `V` registers: `c (+)= a · b`.
            ///
            /// # Safety
            /// The processor must have the instructions; `a` must be good for reads at
            /// `row · row_stride + k · col_stride`, `b` for `k · V` registers, `c` for `R` rows of `V` registers,
            /// the last of them under `mask`.
            #[target_feature(enable = $features)]
            #[allow(clippy::too_many_arguments)]
            unsafe fn tile<const R: usize, const V: usize>(
                k: usize,
                mut a: *const $number,
                row_stride: usize,
                col_stride: usize,
                mut b: *const $number,
                c: *mut f32,
                c_stride: usize,
                mask: u16,
                store: Store,
            ) {
                let mut sums: [[__m512; V]; R] = [[_mm512_setzero_ps(); V]; R];
                for _ in 0..k {
                    // SAFETY: the caller's promises: this is step k of so many, each a column of `a` and `V` registers
                    // of `b`.
                    unsafe {
                        let mut right = [$load(b); V];
                        for (v, right) in right.iter_mut().enumerate().skip(1) {
                            *right = $load(b.add(WIDTH * v));
                        }
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let left = $spread(*a.add(row * row_stride));
                            for v in 0..V {
                                sums[v] = $multiply(sums[v], left, right[v]);
                            }
                        }
                        a = a.add(col_stride);
                        b = b.add(WIDTH * V);
                    }
                }
                for (row, sums) in sums.iter().enumerate() {
                    for (v, &sum) in sums.iter().enumerate() {
                        let mask = if v + 1 == V { mask } else { u16::MAX };
                        // SAFETY: the caller's promises: a register of `c` within its rows, the last one masked.
                        unsafe {
                            let at = c.add(row * c_stride + WIDTH * v);
                            let sum = match store {
                                Store::Set => sum,
                                Store::Add => _mm512_add_ps(_mm512_maskz_loadu_ps(mask, at), sum),
                            };
                            _mm512_mask_storeu_ps(at, mask, sum);
                        }
                    }
                }
            }

            /// # Safety
            /// As `super::panel_product`, and the processor must have the instructions.
            pub unsafe fn panel_product(
                a: super::$left,
                panel: &[$number],
                width: usize,
                c: *mut f32,
                c_stride: usize,
                n: usize,
                store: Store,
            ) {
                // SAFETY: the caller's promises, and the panel is as many registers wide.
                unsafe {
                    match width / WIDTH {
                        1 => rows::<1>(a, panel, c, c_stride, n, store),
                        2 => rows::<2>(a, panel, c, c_stride, n, store),
                        3 => rows::<3>(a, panel, c, c_stride, n, store),
                        _ => rows::<4>(a, panel, c, c_stride, n, store),
                    }
                }
            }

            /// Tiles of as many rows as the registers hold, 24 sums at most, and then what is left.
            ///
            /// # Safety
            /// As [`panel_product`], for a panel of `V` registers.
            unsafe fn rows<const V: usize>(
                a: super::$left,
                panel: &[$number],
                c: *mut f32,
                c_stride: usize,
                n: usize,
                store: Store,
            ) {
                // A panel has no register that is zeros only: n > (V − 1) · 16.
                let mask = u16::MAX >> (WIDTH * V - n);
                let at_once = match V {
                    1 | 2 => 12,
                    3 => 8,
                    _ => 6,
                };
                let mut row = 0;
                while row < a.rows {
                    let n_rows = at_once.min(a.rows - row);
                    // SAFETY: the caller's promises; these rows are among those of `a`, and so of `c`.
                    unsafe {
                        let left = a.values.as_ptr().add(row * a.row_stride);
                        let (b, c) = (panel.as_ptr(), c.add(row * c_stride));
                        macro_rules! tile {
                            ($r:literal) => {
                                tile::<$r, V>(
                                    a.cols,
                                    left,
                                    a.row_stride,
                                    a.col_stride,
                                    b,
                                    c,
                                    c_stride,
                                    mask,
                                    store,
                                )
                            };
                        }
                        match n_rows {
                            1 => tile!(1),
                            2 => tile!(2),
                            3 => tile!(3),
                            4 => tile!(4),
                            5 => tile!(5),
                            6 => tile!(6),
                            7 => tile!(7),
                            8 => tile!(8),
                            9 => tile!(9),
                            10 => tile!(10),
                            11 => tile!(11),
                            _ => tile!(12),
                        }
                    }
                    row += n_rows;
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
tiles!(avx512, f32, Matrix, "avx512f", _mm512_loadu_ps, _mm512_set1_ps, |sum, left, right| _mm512_fmadd_ps(
    left, right, sum
));

#[cfg(target_arch = "x86_64")]
tiles!(
    bf16,
    u32,
    Pairs,
    "avx512f,avx512bf16",
    |at: *const u32| std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(at.cast())),
    |pair: u32| std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(pair as i32)),
    |sum, left, right| _mm512_dpbf16_ps(sum, left, right)
);

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 1009.0 - 0.5).collect()
    }

    /// By the definition, in f64.
    fn exact(a: Matrix, b: Matrix) -> Vec<f64> {
        let mut c = Vec::new();
        for i in 0..a.rows {
            for j in 0..b.cols {
                c.push((0..a.cols).map(|k| f64::from(a.at(i, k)) * f64::from(b.at(k, j))).sum());
            }
        }
        c
    }

    #[test]
    fn products_agree_with_the_definition_for_odd_sizes_and_all_orders() {
        for (m, k, n) in [
            (1, 1, 1),
            (3, 5, 7),
            (6, 64, 64),
            (7, 17, 65),
            (12, 300, 16),
            (13, 257, 33),
            (64, 24, 176),
            (5, 600, 130),
            (31, 2, 48),
            (4, 0, 9),
        ] {
            for (a_turned, b_turned) in [(false, false), (true, false), (false, true), (true, true)] {
                let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
                let a = if a_turned { Matrix::new(&a, k, m).transposed() } else { Matrix::new(&a, m, k) };
                let b = if b_turned { Matrix::new(&b, n, k).transposed() } else { Matrix::new(&b, k, n) };
                let expected = exact(a, b);
                let packed = Packed::of(&[b], Precision::F32);
                let stride = n + 3;
                for store in [Store::Set, Store::Add] {
                    let mut c = vec![1.0; m * stride];
                    product(a, &packed, &mut c, stride, store);
                    let before = if store == Store::Add { 1.0 } else { 0.0 };
                    for i in 0..m {
                        for j in 0..n {
                            let (found, expected) =
                                (f64::from(c[i * stride + j]), expected[i * n + j] + before);
                            // Rounding of each of k sums, relative to numbers of this size.
                            let tolerance =
                                f64::from(f32::EPSILON) * (k as f64 + 4.0) * expected.abs().max(0.5);
                            assert!(
                                (found - expected).abs() < tolerance,
                                "{m} {k} {n} ({i}, {j}): {found} {expected}"
                            );
                        }
                        assert_eq!(c[i * stride + n..(i + 1) * stride], [1.0; 3], "beyond the row");
                    }
                }
            }
        }
    }

    #[test]
    fn products_of_bf16_are_exact_where_the_factors_are_and_round_them_elsewhere() {
        assert_eq!(to_bf16(1.0) << 16, 1f32.to_bits());
        // Halfway between two: to the even one. Above halfway: up.
        assert_eq!(f32::from_bits(to_bf16(1.0 + 1.0 / 256.0) << 16), 1.0);
        assert_eq!(f32::from_bits(to_bf16(1.0 + 3.0 / 256.0) << 16), 1.0 + 4.0 / 256.0);
        assert_eq!(f32::from_bits(to_bf16(-1.0 - 1.1 / 256.0) << 16), -1.0 - 2.0 / 256.0);
        assert!(f32::from_bits(to_bf16(f32::NAN) << 16).is_nan());
        assert!(f32::from_bits(to_bf16(f32::from_bits(0x7FFF_FFFF)) << 16).is_nan());
        if !has(Precision::Bf16) {
            println!("skipped: this processor has no AVX512_BF16");
            return;
        }
        for (m, k, n) in [(1, 1, 1), (7, 17, 65), (13, 257, 33), (64, 600, 176), (6, 512, 64), (9, 3, 130)] {
            for (a_turned, b_turned) in [(false, false), (true, false), (false, true), (true, true)] {
                // Multiples of 1/16 up to 4: exact in bf16, and so are the sums in f32.
                let whole = |n: usize, seed: usize| -> Vec<f32> {
                    (0..n).map(|i| ((i * 7919 + seed * 31) % 129) as f32 / 16.0 - 4.0).collect()
                };
                let (a, b) = (whole(m * k, 1), whole(k * n, 2));
                let a = if a_turned { Matrix::new(&a, k, m).transposed() } else { Matrix::new(&a, m, k) };
                let b = if b_turned { Matrix::new(&b, n, k).transposed() } else { Matrix::new(&b, k, n) };
                let packed = Packed::of(&[b], Precision::Bf16);
                for (store, before) in [(Store::Set, 0.0), (Store::Add, 1.0)] {
                    let mut c = vec![1.0; m * n];
                    product(a, &packed, &mut c, n, store);
                    for (found, expected) in c.iter().zip(exact(a, b)) {
                        assert_eq!(f64::from(*found), expected + before, "{m} {k} {n} {a_turned} {b_turned}");
                    }
                }
            }
        }
    }

    #[test]
    fn factors_side_by_side_give_the_products_one_after_the_other_and_a_cut_changes_no_bit() {
        let (m, k) = (40, 90);
        let widths = [50, 20, 100];
        let a = numbers(m * k, 1);
        let a = Matrix::new(&a, m, k);
        let parts: Vec<Vec<f32>> = widths.iter().map(|n| numbers(k * n, *n)).collect();
        let views: Vec<Matrix> = parts.iter().zip(widths).map(|(part, n)| Matrix::new(part, k, n)).collect();
        let n: usize = widths.iter().sum();
        let packed = Packed::of(&views, Precision::F32);
        let mut together = vec![0.0; m * n];
        product(a, &packed, &mut together, n, Store::Set);
        let mut first = 0;
        for (view, width) in views.iter().zip(widths) {
            let mut alone = vec![0.0; m * width];
            product(a, &Packed::of(&[*view], Precision::F32), &mut alone, width, Store::Set);
            for row in 0..m {
                assert_eq!(together[row * n + first..][..width], alone[row * width..][..width]);
            }
            first += width;
        }
        for (row, n_rows) in [(0, 7), (7, 13), (20, 20)] {
            let mut part = vec![0.0; n_rows * n];
            product(a.part(row, n_rows), &packed, &mut part, n, Store::Set);
            assert_eq!(together[row * n..][..n_rows * n], part);
        }
    }
}
