//! Jeffreys' interval of a share: quantiles of the Beta(k + 1/2, n - k + 1/2) posterior (Brown, Cai, DasGupta 2001, "Interval
//! Estimation for a Binomial Proportion", section 3.1.3).

/// Median and ends of the 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Posterior {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

/// What `n_hits` of `n_runs` say about the share. No hit leaves 0 possible, nothing but hits leaves 1.
pub(crate) fn posterior(n_hits: u32, n_runs: u32) -> Posterior {
    if n_runs == 0 {
        return Posterior { low: 0.0, median: 0.5, high: 1.0 };
    }
    let n_hits = n_hits.min(n_runs);
    let beta = Beta { a: f64::from(n_hits) + 0.5, b: f64::from(n_runs - n_hits) + 0.5 };
    Posterior {
        low: if n_hits == 0 { 0.0 } else { beta.quantile(0.025) },
        median: beta.quantile(0.5),
        high: if n_hits == n_runs { 1.0 } else { beta.quantile(0.975) },
    }
}

/// The Beta distribution.
struct Beta {
    a: f64,
    b: f64,
}

impl Beta {
    /// Where the distribution function reaches `share`, by halving: it rises everywhere, and 50 halvings leave nothing of a
    /// basis point.
    fn quantile(&self, share: f64) -> f64 {
        const HALVINGS: u32 = 50;
        let mut ends = (0.0, 1.0);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(ends.0, ends.1);
            if self.below(middle) < share {
                ends.0 = middle;
            } else {
                ends.1 = middle;
            }
        }
        f64::midpoint(ends.0, ends.1)
    }

    /// The distribution function: the regularized incomplete beta function. Its continued fraction converges fast below the mean,
    /// and the function is symmetric (DLMF 8.17.4, 8.17.22).
    fn below(&self, x: f64) -> f64 {
        let Beta { a, b } = *self;
        if x > (a + 1.0) / (a + b + 2.0) {
            return 1.0 - Beta { a: b, b: a }.below(1.0 - x);
        }
        let ln_beta = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
        let front = (a * x.ln() + b * (-x).ln_1p() - ln_beta).exp() / a;
        front / continued_fraction(|m| coefficient(a, b, x, m))
    }
}

/// The m-th coefficient of the fraction 1 + d1/(1 + d2/(1 + ...)) (DLMF 8.17.23).
fn coefficient(a: f64, b: f64, x: f64, index: u32) -> f64 {
    let m = f64::from(index / 2);
    if index.is_multiple_of(2) {
        m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
    } else {
        -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
    }
}

/// 1 + d1/(1 + d2/(1 + ...)) by Lentz's method. As many terms are needed as the square root of the runs, so this is enough for
/// all that can be counted here.
fn continued_fraction(coefficient: impl Fn(u32) -> f64) -> f64 {
    const MAX_TERMS: u32 = 200_000;
    const NEGLIGIBLE: f64 = 1e-14;
    // In place of a zero that would be divided by.
    const TINY: f64 = 1e-300;
    let nonzero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut numerator, mut denominator, mut fraction) = (1.0, 0.0, 1.0);
    for index in 1..=MAX_TERMS {
        let d = coefficient(index);
        numerator = nonzero(1.0 + d / numerator);
        denominator = nonzero(1.0 + d * denominator).recip();
        let step = numerator * denominator;
        fraction *= step;
        if (step - 1.0).abs() < NEGLIGIBLE {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Failures, runs, and the posterior in per cent, computed with 30 digits by another implementation.
    const REFERENCE: [(u32, u32, [f64; 3]); 10] = [
        (0, 1, [0.0, 16.319_398_5, 85.325_368_4]),
        (1, 1, [14.674_631_6, 83.680_601_5, 100.0]),
        (1, 2, [6.083_027_59, 50.0, 93.916_972_4]),
        (0, 20, [0.0, 1.116_916_91, 11.663_898_3]),
        (1, 20, [0.544_903_258, 5.815_056_87, 21.081_863_6]),
        (20, 20, [88.336_101_7, 98.883_083_1, 100.0]),
        (12, 40, [17.561_980_6, 30.167_821_8, 45.215_830_8]),
        (3, 41, [2.103_923_24, 7.675_619_55, 18.256_563_6]),
        (3, 100, [0.852_028_311, 3.162_253_4, 7.788_756_94]),
        (25, 1000, [1.664_716_36, 2.515_905_52, 3.609_323_04]),
    ];

    #[test]
    fn posteriors_are_those_of_the_reference() {
        for (n_hits, n_runs, expected) in REFERENCE {
            let Posterior { low, median, high } = posterior(n_hits, n_runs);
            for (found, expected) in [low, median, high].into_iter().zip(expected) {
                assert!((found * 100.0 - expected).abs() < 1e-6, "{n_hits} of {n_runs}: {found} {expected}");
            }
        }
    }

    #[test]
    fn large_numbers_are_no_trouble() {
        let Posterior { low, median, high } = posterior(u32::MAX / 4, u32::MAX);
        assert!(low < median && median < high && high - low < 1e-4, "{low} {median} {high}");
        assert_eq!(posterior(0, 0), Posterior { low: 0.0, median: 0.5, high: 1.0 });
    }

    /// Chance that runs of a test that fails at `rate` give an interval that holds it, of those that each count gives.
    fn coverage(intervals: &[Posterior], rate: f64) -> f64 {
        let n_runs = u32::try_from(intervals.len() - 1).unwrap();
        // From one count to the next: C(n, k + 1) p^(k+1) q^(n-k-1) = C(n, k) p^k q^(n-k) (n - k) / (k + 1) p / q.
        let mut chance = (1.0 - rate).powi(i32::try_from(n_runs).unwrap());
        let mut covered = 0.0;
        for (n_hits, Posterior { low, high, .. }) in (0..).zip(intervals) {
            if *low <= rate && rate <= *high {
                covered += chance;
            }
            chance *= f64::from(n_runs - n_hits) / f64::from(n_hits + 1) * rate / (1.0 - rate);
        }
        covered
    }

    #[test]
    fn intervals_hold_the_true_rate_as_often_as_they_say() {
        for n_runs in [10, 20, 40, 100] {
            let intervals: Vec<Posterior> = (0..=n_runs).map(|n_hits| posterior(n_hits, n_runs)).collect();
            let each: Vec<f64> =
                (1..100).map(|percent| coverage(&intervals, f64::from(percent) / 100.0)).collect();
            let mean = each.iter().sum::<f64>() / 99.0;
            assert!((0.945..0.956).contains(&mean), "{n_runs} runs: {mean}");
            // Counts are whole, so no interval can be right for every rate; none is far off.
            assert!(each.iter().all(|one| *one > 0.86), "{n_runs} runs: {each:?}");
        }
    }
}
