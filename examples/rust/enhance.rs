//! enhance MODEL.gguf MIC.wav REF.wav OUT.wav: the microphone without its echo, hop by hop as in a live call.
//!
//!     rustc -O enhance.rs -L native=<library folder>

mod localvqe;
mod wav;

use localvqe::{Hop, Stream, HOP};

/// The hop that begins at sample `start`; silence beyond the end.
fn take(samples: &[i16], start: usize) -> Hop {
    let mut hop = [0; HOP];
    let part = samples
        .get(start..samples.len().min(start + HOP))
        .unwrap_or(&[]);
    hop[..part.len()].copy_from_slice(part);
    hop
}

fn enhance(stream: &mut Stream, mic: &[i16], reference: &[i16]) -> Result<Vec<i16>, String> {
    let mut out = Vec::with_capacity(mic.len() + 2 * HOP);
    for start in (0..mic.len() + HOP).step_by(HOP) {
        out.extend(stream.process(&take(mic, start), &take(reference, start))?);
    }
    Ok(out[HOP..HOP + mic.len()].to_vec()) // what comes out of a hop belongs to the one before
}

fn run(model: &str, mic: &str, reference: &str, out: &str) -> Result<(), String> {
    let (mic, reference) = (wav::read(mic)?, wav::read(reference)?);
    wav::write(out, &enhance(&mut Stream::new(model)?, &mic, &reference)?)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match &arguments[..] {
        [model, mic, reference, out] => run(model, mic, reference, out),
        _ => {
            eprintln!("usage: enhance MODEL.gguf MIC.wav REF.wav OUT.wav");
            std::process::exit(2);
        }
    };
    if let Err(error) = done {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
