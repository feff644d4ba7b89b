//! One input made of another.
//!
//! Owns: the kinds of change. Does not own: chance, which is handed in.

use systole_world::Random;

/// Lengths and counts that break what does not look.
const NUMBERS: [u32; 7] = [0, 1, 0x7f, 0x80, 0x7fff_ffff, 0x8000_0000, u32::MAX];
const CHANGES_MAX: u64 = 4;
/// No input grows beyond it, in bytes.
const LENGTH_MAX: usize = 64 * 1024;

/// Some changes of `input`, and perhaps a piece of `other` in it.
pub fn mutate(input: &[u8], other: &[u8], random: &dyn Random) -> Vec<u8> {
    let mut out = input.to_vec();
    for _ in 0..=random.next_u64() % CHANGES_MAX {
        let at = below(random, out.len() + 1);
        let piece = at..(at + below(random, 16)).min(out.len());
        match random.next_u64() % 8 {
            0 => flip(&mut out, at, random),
            1 => out.truncate(at),
            2 => drop(out.drain(piece)),
            3 => insert(&mut out, at, &random.next_u64().to_be_bytes()),
            4 => {
                let copy = out[piece].to_vec();
                insert(&mut out, at, &copy);
            }
            5 => {
                let from = below(random, other.len() + 1);
                insert(&mut out, at, &other[from..]);
            }
            6 => write(&mut out, at, &NUMBERS[below(random, NUMBERS.len())].to_be_bytes()),
            _ => write(&mut out, at, &random.next_u64().to_be_bytes()[..1]),
        }
    }
    out.truncate(LENGTH_MAX);
    out
}

fn below(random: &dyn Random, count: usize) -> usize {
    usize::try_from(random.next_u64() % count.max(1) as u64).unwrap_or(0)
}

fn flip(out: &mut [u8], at: usize, random: &dyn Random) {
    if let Some(byte) = out.get_mut(at) {
        *byte ^= 1 << (random.next_u64() % 8);
    }
}

fn insert(out: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    out.splice(at..at, bytes.iter().copied());
}

/// Over what is there, as far as it reaches.
fn write(out: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in out[at..].iter_mut().zip(bytes) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use systole_world::sim::SeededRandom;

    #[test]
    fn the_same_seed_makes_the_same_inputs_and_none_is_too_long() {
        let run = |seed| {
            let random = SeededRandom::new(seed);
            let mut input = vec![1, 2, 3];
            let mut all = Vec::new();
            for _ in 0..2000 {
                input = mutate(&input, &[9; 3000], &random);
                assert!(input.len() <= LENGTH_MAX);
                all.push(input.clone());
            }
            all
        };
        assert!(run(1) == run(1) && run(1) != run(2));
    }
}
