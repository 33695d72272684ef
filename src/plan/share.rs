//! A worker's share of VUs, counts and due times, by arithmetic alone.

/// Part `index` of `count` equal parts: whatever is congruent to `index` modulo `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// From 0.
    pub index: u64,
    /// At least 1.
    pub count: u64,
}

impl Share {
    /// Everything.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Returns how many of `total` things, numbered from 0, are in this share.
    pub fn of(self, total: u64) -> u64 {
        (total + self.count - 1 - self.index) / self.count
    }

    /// Returns whether thing number `n` (from 0) is in this share.
    pub fn has(self, n: u64) -> bool {
        n % self.count == self.index
    }

    /// Returns the whole's number of this share's thing number `n` (from 0).
    pub fn nth(self, n: u64) -> u64 {
        self.index + n * self.count
    }
}
