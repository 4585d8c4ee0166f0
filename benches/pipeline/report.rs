//! The results, as a table and as JSON.

use super::measure::ResourceUsage;

/// One program in one comparison.
#[derive(Debug, serde::Serialize)]
struct Row {
    comparison: String,
    program: String,
    wall_ms: f64,
    cpu_ms: f64,
    peak_rss_mib: f64,
    /// Medians of the rounds' ratios to the comparison's first program.
    wall_ratio: f64,
    cpu_ratio: f64,
    /// The minimum and the maximum of the rounds' ratios of wall time.
    wall_ratios: (f64, f64),
}

/// A single number, and its maximum.
#[derive(Debug, serde::Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    at_most: Option<f64>,
}

#[derive(Debug, serde::Serialize)]
pub struct Report {
    #[serde(skip)]
    json_only: bool,
    rows: Vec<Row>,
    figures: Vec<Figure>,
}

/// Returns the median.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns the median over all rounds of one program's figure beside that of another.
pub fn ratio(
    rounds: &[Vec<ResourceUsage>],
    program: usize,
    beside: usize,
    what: impl Fn(&ResourceUsage) -> f64,
) -> f64 {
    median(rounds.iter().map(|round| what(&round[program]) / what(&round[beside])))
}

impl Report {
    pub fn new(json_only: bool) -> Self {
        Self { json_only, rows: Vec::new(), figures: Vec::new() }
    }

    /// Adds the rounds of a comparison: the usage of each program, in the order of `programs`.
    pub fn compare(&mut self, comparison: &str, programs: &[&str], rounds: &[Vec<ResourceUsage>]) {
        for (place, program) in programs.iter().enumerate() {
            let of = |what: fn(&ResourceUsage) -> u64| {
                median(rounds.iter().map(|r| what(&r[place]) as f64))
            };
            let ratio = |what: fn(&ResourceUsage) -> u64| {
                rounds.iter().map(move |r| what(&r[place]) as f64 / what(&r[0]) as f64)
            };
            let wall_ratios: Vec<f64> = ratio(|took| took.wall_us).collect();
            self.rows.push(Row {
                comparison: comparison.to_owned(),
                program: (*program).to_owned(),
                wall_ms: of(|took| took.wall_us) / 1e3,
                cpu_ms: of(|took| took.cpu_us) / 1e3,
                peak_rss_mib: of(|took| took.peak_rss_kib) / 1024.0,
                wall_ratio: median(wall_ratios.iter().copied()),
                cpu_ratio: median(ratio(|took| took.cpu_us)),
                wall_ratios: (
                    wall_ratios.iter().copied().fold(f64::INFINITY, f64::min),
                    wall_ratios.iter().copied().fold(0.0, f64::max),
                ),
            });
        }
        if !self.json_only {
            self.print_rows(comparison);
        }
    }

    /// Returns the ratio of wall times from [`Report::compare`].
    pub fn wall_ratio(&self, comparison: &str, program: &str) -> f64 {
        self.row(comparison, program).map_or(f64::NAN, |row| row.wall_ratio)
    }

    /// Returns the ratio of processor times from [`Report::compare`].
    pub fn cpu_ratio(&self, comparison: &str, program: &str) -> f64 {
        self.row(comparison, program).map_or(f64::NAN, |row| row.cpu_ratio)
    }

    /// Returns the most memory from [`Report::compare`], in MiB.
    pub fn peak_rss_mib(&self, comparison: &str, program: &str) -> f64 {
        self.row(comparison, program).map_or(f64::NAN, |row| row.peak_rss_mib)
    }

    fn row(&self, comparison: &str, program: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.comparison == comparison && row.program == program)
    }

    /// Adds a single number.
    pub fn figure(&mut self, name: &str, value: f64, unit: &'static str, at_most: Option<f64>) {
        let figure = Figure { name: name.to_owned(), value, unit, at_most };
        if !self.json_only {
            println!("{}", figure.line());
        }
        self.figures.push(figure);
    }

    /// Prints the numbers for programs.
    pub fn print(&self) {
        println!("{}", serde_json::to_string(self).expect("numbers and names"));
    }

    fn print_rows(&self, comparison: &str) {
        println!(
            "\n{comparison:<28} {:>8} {:>8} {:>6} {:>6} {:>12} {:>6}",
            "wall ms", "CPU ms", "MiB", "×wall", "least–most", "×CPU"
        );
        for row in self.rows.iter().filter(|row| row.comparison == comparison) {
            println!(
                "  {:<26} {:>8.1} {:>8.1} {:>6.1} {:>6.2} {:>12} {:>6.2}",
                row.program,
                row.wall_ms,
                row.cpu_ms,
                row.peak_rss_mib,
                row.wall_ratio,
                format!("{:.2}–{:.2}", row.wall_ratios.0, row.wall_ratios.1),
                row.cpu_ratio
            );
        }
    }
}

impl Figure {
    fn line(&self) -> String {
        let target = match self.at_most {
            None => String::new(),
            Some(most) if self.value <= most => format!("  (at most {most}: met)"),
            Some(most) => format!("  (at most {most}: MISSED)"),
        };
        format!("{:<44} {:>9.2} {}{target}", self.name, self.value, self.unit)
    }
}
