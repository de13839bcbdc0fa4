//! Mono 16-bit WAV files at 16 kHz, the only sound that this example reads and writes.

use std::fs;

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | byte as usize)
}

pub fn read(path: &str) -> Result<Vec<i16>, String> {
    let data = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let problem = |what| {
        Err(format!(
            "{path} {what}; make it so with: sox IN -r 16000 -c 1 -b 16 OUT.wav"
        ))
    };
    if data.len() < 12 || &data[..4] != b"RIFF" || &data[8..12] != b"WAVE" {
        return problem("is no WAV file");
    }
    let (mut rest, mut known) = (&data[12..], false);
    while rest.len() >= 8 {
        let (name, size, body) = (&rest[..4], number(&rest[4..8]), &rest[8..]);
        if size > body.len() {
            return problem("ends early");
        }
        if name == b"fmt " && size >= 16 {
            known = number(&body[..2]) == 1
                && number(&body[2..4]) == 1
                && number(&body[4..8]) == 16000
                && number(&body[14..16]) == 16;
        } else if name == b"data" && size >= 2 {
            if !known {
                return problem("is not mono, 16 bit and 16 kHz");
            }
            return Ok(body[..size]
                .chunks_exact(2)
                .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
                .collect());
        }
        rest = body.get(size + size % 2..).unwrap_or(&[]);
    }
    problem("has no samples")
}

/// Leaves a whole file or none.
pub fn write(path: &str, samples: &[i16]) -> Result<(), String> {
    let size = (2 * samples.len()) as u32;
    let mut out = Vec::with_capacity(44 + size as usize);
    out.extend(b"RIFF");
    out.extend((36 + size).to_le_bytes());
    out.extend(b"WAVEfmt ");
    out.extend(16u32.to_le_bytes());
    out.extend([1u16, 1].iter().flat_map(|value| value.to_le_bytes())); // PCM, mono
    out.extend(
        [16000u32, 32000]
            .iter()
            .flat_map(|value| value.to_le_bytes()),
    );
    out.extend([2u16, 16].iter().flat_map(|value| value.to_le_bytes()));
    out.extend(b"data");
    out.extend(size.to_le_bytes());
    out.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    let part = format!("{path}.part");
    fs::write(&part, out)
        .and_then(|()| fs::rename(&part, path))
        .map_err(|error| {
            let _ = fs::remove_file(&part);
            format!("{path}: {error}")
        })
}
