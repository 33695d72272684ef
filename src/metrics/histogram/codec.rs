//! Histograms as other tools read them: HdrHistogram's own type, and its V2 encoding as base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

use super::{Histogram, Range};

/// A text that is no histogram of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("histogram: {0}")]
pub struct HistogramError(pub String);

impl Histogram {
    /// Returns the same counts in HdrHistogram's own type, in ticks.
    pub fn to_hdr(&self) -> hdrhistogram::Histogram<u64> {
        let mut hdr = hdrhistogram::Histogram::new_with_bounds(1, self.range().edge(), 3)
            .expect("the bounds are valid for three digits");
        for (value, count) in self.iter() {
            hdr.record_n(value, count).expect("a bucket's least value is within the bounds");
        }
        hdr
    }

    /// Returns the counts in HdrHistogram's V2 encoding, as base64, in ticks.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::new();
        V2Serializer::new()
            .serialize(&self.to_hdr(), &mut bytes)
            .expect("writing to memory does not fail");
        STANDARD.encode(bytes)
    }

    /// Reads what [`Histogram::encode`] wrote. Least, greatest and sum are as exact as buckets are,
    /// and what lay beyond the range is no longer told apart.
    ///
    /// # Errors
    /// If the text is no such encoding, or one with other bounds or digits.
    pub fn decode(text: &str) -> Result<Self, HistogramError> {
        let bytes = STANDARD
            .decode(text.trim())
            .map_err(|error| HistogramError(format!("is not base64: {error}")))?;
        let hdr: hdrhistogram::Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| HistogramError(format!("is not HdrHistogram V2: {error}")))?;
        let range = [Range::Time, Range::Number]
            .into_iter()
            .find(|range| hdr.low() == 1 && hdr.sigfig() == 3 && hdr.high() == range.edge())
            .ok_or_else(|| {
                HistogramError(format!(
                    "has bounds {} to {} at {} digits; expected 1 to {} or 1 to {} at 3",
                    hdr.low(),
                    hdr.high(),
                    hdr.sigfig(),
                    Range::Time.edge(),
                    Range::Number.edge()
                ))
            })?;
        let mut histogram = Self::new(range);
        for bucket in hdr.iter_recorded() {
            // A bucket's last value can lie past the edge, where it would count as beyond.
            let low = hdr.lowest_equivalent(bucket.value_iterated_to());
            histogram.add_bucket(low, bucket.count_at_value());
        }
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_and_decoding_keeps_every_quantile() {
        for range in [Range::Time, Range::Number] {
            let mut histogram = Histogram::new(range);
            for value in [0, 1, 2047, 2048, 4097, 1_000_003, 3_599_999_999, u64::MAX] {
                histogram.record(value);
            }
            let decoded = Histogram::decode(&histogram.encode()).unwrap();
            assert_eq!(decoded.range(), range);
            assert_eq!(decoded.count(), 8);
            for step in 0..=100 {
                let q = f64::from(step) / 100.0;
                assert_eq!(decoded.quantile(q), histogram.quantile(q));
            }
            assert!(decoded.iter().eq(histogram.iter()));
            assert!((decoded.mean() / histogram.mean() - 1.0).abs() < 0.001);
            assert_eq!(Histogram::decode(&decoded.encode()).unwrap(), decoded);
        }
    }

    #[test]
    fn an_empty_histogram_survives_the_round_trip() {
        let empty = Histogram::new(Range::Time);
        assert_eq!(Histogram::decode(&empty.encode()).unwrap(), empty);
    }

    #[test]
    fn a_text_that_is_no_histogram_is_an_error() {
        for text in ["", "***", "aGVsbG8="] {
            assert!(Histogram::decode(text).is_err(), "{text}");
        }
        let mut other = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 1000, 2).unwrap();
        other.record(10).unwrap();
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&other, &mut bytes).unwrap();
        let error = Histogram::decode(&STANDARD.encode(bytes)).unwrap_err();
        assert!(error.0.contains("2 digits"), "{error}");
    }
}
