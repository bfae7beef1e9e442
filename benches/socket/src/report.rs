//! The table of the results.

use std::{collections::BTreeMap, fmt};

use crate::{
    Result,
    case::{self, Case, Sample},
};

/// The samples of each case, one for each round.
#[derive(Default)]
pub struct Report(BTreeMap<&'static str, Vec<Sample>>);

impl Report {
    pub fn add(&mut self, case: &Case, sample: Sample) {
        self.0.entry(case.name).or_default().push(sample);
    }

    /// Fails if a case and its base sent responses of different lengths.
    pub fn check(&self) -> Result<()> {
        for (case, samples) in self.rows() {
            let base = case.base.and_then(|base| self.0.get(base));
            let len = samples[0].response_len;
            if base.is_some_and(|base| base[0].response_len != len) {
                return Err(format!("{}: other responses than its base", case.name).into());
            }
        }
        Ok(())
    }

    /// Returns the rows in their order.
    fn rows(&self) -> impl Iterator<Item = (&Case, &[Sample])> {
        let rows = case::chosen(&[]).into_iter();
        rows.filter_map(|case| Some((case, self.0.get(case.name)?.as_slice())))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| | bytes in, out | µs (quartiles) | compared with | % more (quartiles) |"
        )?;
        writeln!(f, "|---|---:|---:|---|---:|")?;
        for (case, samples) in self.rows() {
            let lens = (samples[0].request_len, samples[0].response_len);
            let [low, median, high] = quartiles(samples.iter().map(|sample| sample.time));
            let name = case.name;
            write!(
                f,
                "| {name} | {}, {} | {median:.2} ({low:.2} to {high:.2}) |",
                lens.0, lens.1
            )?;
            match case.base.and_then(|base| Some((base, self.0.get(base)?))) {
                Some((name, base)) => {
                    let pairs = samples.iter().zip(base);
                    let more = pairs.map(|(sample, base)| (sample.time / base.time - 1.0) * 100.0);
                    let [low, median, high] = quartiles(more);
                    writeln!(f, " {name} | {median:.1} ({low:.1} to {high:.1}) |")?;
                }
                None => writeln!(f, " | |")?,
            }
        }
        let busy = self.0.values().flatten().map(|sample| sample.busy * 100.0);
        let [low, median, high] = quartiles(busy);
        write!(
            f,
            "\nThe server was busy for {median:.0} % of the time ({low:.0} to {high:.0})."
        )
    }
}

/// Returns the lower quartile, the median and the upper quartile.
fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| {
        let position = (values.len() - 1) as f64 * f64::from(quarter) / 4.0;
        let (below, part) = (position.floor(), position.fract());
        let next = values[(position.ceil()) as usize];
        let value = values[below as usize];
        value + (next - value) * part
    })
}
