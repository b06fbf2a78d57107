//! The choices of a schedule, and which schedule comes next.

/// Choices that were made, each out of how many; followed first, then added to.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    path: Vec<(usize, usize)>,
    at: usize,
}

impl Choices {
    /// The choices that make this schedule, and the first way wherever they say nothing more.
    pub fn replaying(schedule: &[usize]) -> Self {
        Self { path: schedule.iter().map(|choice| (*choice, usize::MAX)).collect(), at: 0 }
    }

    /// One out of `ways`, which are at least one.
    pub fn choose(&mut self, ways: usize) -> usize {
        if ways < 2 {
            return 0;
        }
        if let Some((chosen, of)) = self.path.get_mut(self.at) {
            *of = ways;
            self.at += 1;
            return (*chosen).min(ways - 1);
        }
        self.path.push((0, ways));
        self.at += 1;
        0
    }

    /// What was chosen so far.
    pub fn made(&self) -> Vec<usize> {
        self.path.iter().take(self.at).map(|(chosen, _)| *chosen).collect()
    }

    /// Goes back to the beginning, to take the next way; `false` where every way was taken.
    pub fn turn(&mut self) -> bool {
        self.path.truncate(self.at);
        self.at = 0;
        while let Some((chosen, of)) = self.path.pop() {
            if chosen + 1 < of {
                self.path.push((chosen + 1, of));
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_taken_once_and_can_be_taken_again() {
        let mut choices = Choices::default();
        let mut taken = Vec::new();
        loop {
            let first = choices.choose(3);
            let second = if first == 1 { choices.choose(2) } else { choices.choose(1) };
            taken.push((first, second));
            let mut again = Choices::replaying(&choices.made());
            assert_eq!(again.choose(3), first);
            if !choices.turn() {
                break;
            }
        }
        assert_eq!(taken, [(0, 0), (1, 0), (1, 1), (2, 0)]);
    }
}
