//! HdrHistogram's bucket layout at three significant digits, and counts that take room as needed.
//!
//! The layout is that of Gil Tene's HdrHistogram with lowest discernible value 1 and 2048
//! sub-buckets: values below 2048 have a bucket each, and every further doubling has 1024.

use std::collections::BTreeMap;

/// log2 of the buckets per doubling.
const HALF_MAGNITUDE: u32 = 10;
/// Sub-buckets per bucket in the layout's terms: the least power of two that is at least 2 · 10³.
const SUB_BUCKETS: u64 = 2 << HALF_MAGNITUDE;
/// Different values up to which counts are kept as a list.
const SPARSE_MAX: usize = 64;
/// Buckets per page.
const PAGE: usize = 128;

/// Returns the bucket of a value.
#[inline]
pub(super) fn index_of(value: u64) -> u32 {
    let shift = 64 - (value | (SUB_BUCKETS - 1)).leading_zeros() - (HALF_MAGNITUDE + 1);
    (shift << HALF_MAGNITUDE) + (value >> shift) as u32
}

/// Returns the least value of a bucket.
pub(super) fn lowest_of(index: u32) -> u64 {
    let shift = shift_of(index);
    u64::from(index - (shift << HALF_MAGNITUDE)) << shift
}

/// Returns the greatest value of a bucket.
pub(super) fn highest_of(index: u32) -> u64 {
    lowest_of(index) + ((1 << shift_of(index)) - 1)
}

fn shift_of(index: u32) -> u32 {
    (index >> HALF_MAGNITUDE).saturating_sub(1)
}

/// Counts per bucket.
#[derive(Debug, Clone)]
pub(super) enum Buckets {
    /// Ordered by index, for a few different values.
    Sparse(Vec<(u32, u32)>),
    /// For many.
    Paged(Box<Pages>),
}

/// Counts in pages that exist only where something was counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Pages {
    pages: Vec<Option<Box<[u32; PAGE]>>>,
    /// Counts' parts above 32 bits.
    carry: BTreeMap<u32, u64>,
}

impl Buckets {
    /// Returns no counts, and takes no memory.
    pub(super) const fn new() -> Self {
        Self::Sparse(Vec::new())
    }

    /// Counts one.
    #[inline]
    pub(super) fn increment(&mut self, index: u32) {
        match self {
            Self::Paged(pages) => pages.add(index, 1),
            Self::Sparse(_) => self.add(index, 1),
        }
    }

    /// Adds to a bucket's count.
    pub(super) fn add(&mut self, index: u32, count: u64) {
        let entries = match self {
            Self::Paged(pages) => return pages.add(index, count),
            Self::Sparse(entries) => entries,
        };
        match entries.binary_search_by_key(&index, |entry| entry.0) {
            Ok(at) => {
                let sum = u64::from(entries[at].1) + count;
                if let Ok(sum) = u32::try_from(sum) {
                    entries[at].1 = sum;
                    return;
                }
            }
            Err(at) => {
                if let Ok(count) = u32::try_from(count)
                    && entries.len() < SPARSE_MAX
                {
                    entries.insert(at, (index, count));
                    return;
                }
            }
        }
        let mut pages = Box::<Pages>::default();
        for &(index, count) in entries.iter() {
            pages.add(index, u64::from(count));
        }
        pages.add(index, count);
        *self = Self::Paged(pages);
    }

    /// Adds all counts of another.
    pub(super) fn add_all(&mut self, other: &Self) {
        match other {
            Self::Sparse(entries) => {
                for &(index, count) in entries {
                    self.add(index, u64::from(count));
                }
            }
            Self::Paged(more) => {
                let Self::Paged(own) = self else {
                    let few = std::mem::replace(self, Self::Paged(Box::new((**more).clone())));
                    return self.add_all(&few);
                };
                own.add_all(more);
            }
        }
    }

    /// Removes all counts and keeps what memory a list takes.
    pub(super) fn clear(&mut self) {
        match self {
            Self::Sparse(entries) => entries.clear(),
            Self::Paged(_) => *self = Self::new(),
        }
    }

    /// Returns the buckets that are not empty, in order, with their counts.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let (entries, pages) = match self {
            Self::Sparse(entries) => (entries.as_slice(), None),
            Self::Paged(pages) => (&[][..], Some(pages)),
        };
        entries
            .iter()
            .map(|&(index, count)| (index, u64::from(count)))
            .chain(pages.into_iter().flat_map(|pages| pages.iter()))
    }

    /// Returns the bytes on the heap.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Sparse(entries) => entries.capacity() * size_of::<(u32, u32)>(),
            Self::Paged(pages) => {
                let held = pages.pages.iter().flatten().count();
                size_of::<Pages>()
                    + pages.pages.capacity() * size_of::<Option<Box<[u32; PAGE]>>>()
                    + held * size_of::<[u32; PAGE]>()
            }
        }
    }
}

impl Pages {
    #[inline]
    fn add(&mut self, index: u32, count: u64) {
        let (page, slot) = (index as usize / PAGE, index as usize % PAGE);
        if page >= self.pages.len() {
            self.pages.resize(page + 1, None);
        }
        let counts = self.pages[page].get_or_insert_with(|| Box::new([0; PAGE]));
        let (sum, overflow) = counts[slot].overflowing_add(count as u32);
        counts[slot] = sum;
        let carry = (count >> 32) + u64::from(overflow);
        if carry > 0 {
            *self.carry.entry(index).or_default() += carry;
        }
    }

    fn add_all(&mut self, other: &Self) {
        if self.pages.len() < other.pages.len() {
            self.pages.resize(other.pages.len(), None);
        }
        for (at, (own, more)) in self.pages.iter_mut().zip(&other.pages).enumerate() {
            let (Some(own), Some(more)) = (own.as_mut(), more) else {
                if own.is_none() {
                    own.clone_from(more);
                }
                continue;
            };
            let mut overflowed = false;
            for (count, add) in own.iter_mut().zip(more.iter()) {
                let sum = count.wrapping_add(*add);
                overflowed |= sum < *add;
                *count = sum;
            }
            if overflowed {
                // Where a sum wrapped, it is less than what was added.
                for (slot, (count, add)) in own.iter().zip(more.iter()).enumerate() {
                    if count < add {
                        *self.carry.entry((at * PAGE + slot) as u32).or_default() += 1;
                    }
                }
            }
        }
        for (index, carry) in &other.carry {
            *self.carry.entry(*index).or_default() += carry;
        }
    }

    fn iter(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let held =
            self.pages.iter().enumerate().filter_map(|(at, page)| Some((at, page.as_ref()?)));
        held.flat_map(|(at, page)| {
            page.iter().enumerate().map(move |(slot, &count)| ((at * PAGE + slot) as u32, count))
        })
        .map(|(index, count)| {
            let carry = if self.carry.is_empty() { None } else { self.carry.get(&index) };
            (index, u64::from(count) + (carry.copied().unwrap_or(0) << 32))
        })
        .filter(|&(_, count)| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket_and_the_bucket_is_narrow(value in 0..1u64 << 60) {
            let index = index_of(value);
            let (low, high) = (lowest_of(index), highest_of(index));
            prop_assert!(low <= value && value <= high);
            prop_assert!((high - low) as f64 <= low as f64 / 1024.0);
            prop_assert_eq!(index_of(low), index);
            prop_assert_eq!(index_of(high + 1), index + 1);
        }
    }

    #[test]
    fn a_count_beyond_32_bits_is_exact_in_every_form() {
        let big = u64::from(u32::MAX);
        let mut buckets = Buckets::new();
        buckets.add(7, big);
        buckets.add(7, big);
        buckets.add(7, 3 << 40);
        buckets.increment(9);
        let mut other = Buckets::new();
        other.add_all(&buckets);
        let expected = vec![(7, 2 * big + (3 << 40)), (9, 1)];
        assert_eq!(buckets.iter().collect::<Vec<_>>(), expected);
        assert_eq!(other.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn adding_pages_carries_beyond_32_bits() {
        let spread = |count: u64| {
            let mut buckets = Buckets::new();
            for index in 0..200 {
                buckets.add(index * 5, count + u64::from(index));
            }
            buckets
        };
        let mut sum = spread(u64::from(u32::MAX) - 100);
        sum.add_all(&spread(150));
        sum.add_all(&spread(5 << 32));
        let expected: Vec<_> = (0..200)
            .map(|index| (index * 5, (5 << 32) + u64::from(u32::MAX) + 50 + 3 * u64::from(index)))
            .collect();
        assert_eq!(sum.iter().collect::<Vec<_>>(), expected);
        let mut few = Buckets::new();
        few.add(3, 1);
        few.add_all(&sum);
        assert_eq!(few.iter().count(), 201);
    }

    #[test]
    fn many_values_are_kept_in_pages_in_the_same_order() {
        let mut buckets = Buckets::new();
        for index in (0..1000).rev() {
            buckets.increment(index * 3);
        }
        assert!(matches!(buckets, Buckets::Paged(_)));
        let expected: Vec<_> = (0..1000).map(|index| (index * 3, 1)).collect();
        assert_eq!(buckets.iter().collect::<Vec<_>>(), expected);
        buckets.clear();
        assert_eq!(buckets.iter().count(), 0);
    }
}
