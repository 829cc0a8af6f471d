//! Normal and log-normal draws with the same bits on every machine.

use crate::random::Draws;

/// Draws from the standard normal distribution, two for each pair of uniform draws
/// (Box and Muller, "A note on the generation of random normal deviates", 1958).
#[derive(Debug)]
pub(super) struct Normals {
    uniform: Draws,
    spare: Option<f64>,
}

impl Normals {
    /// The draws of `stream` under `seed`.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self { uniform: Draws::new(seed, stream), spare: None }
    }

    /// The uniform draws underneath.
    pub(super) fn uniform(&mut self) -> &mut Draws {
        &mut self.uniform
    }

    /// The next standard normal draw.
    pub(super) fn standard(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // `unit` may be 0, its complement never is.
        let radius = (-2.0 * libm::log(1.0 - self.uniform.unit())).sqrt();
        let angle = std::f64::consts::TAU * self.uniform.unit();
        self.spare = Some(radius * libm::sin(angle));
        radius * libm::cos(angle)
    }

    /// A factor around 1: e to a normal draw with this standard deviation.
    pub(super) fn factor(&mut self, deviation: f64) -> f64 {
        libm::exp(deviation * self.standard())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_variance_are_those_of_the_standard_normal() {
        let mut normals = Normals::new(5, 6);
        let draws: Vec<f64> = (0..40_000).map(|_| normals.standard()).collect();
        let mean = draws.iter().sum::<f64>() / 40_000.0;
        let variance = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 40_000.0;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
        let beyond_two = draws.iter().filter(|x| x.abs() > 2.0).count();
        assert!((1_600..2_050).contains(&beyond_two), "{beyond_two}");
    }

    #[test]
    fn a_factor_is_above_zero() {
        let mut normals = Normals::new(1, 1);
        assert!((0..1_000).all(|_| normals.factor(2.0) > 0.0));
    }
}
