//! What the fuzz targets share: material from bytes, and randomness that is none.

use certcourier_bundle::{
    Artifact, EnvironmentMaterial, Format, Limits, Material, MaterialError, Randomness, RandomnessError, RawMaterial,
    RenderError, RenderOptions, render,
};

/// The same bytes each time, so that a finding can be repeated.
pub struct Counter(pub u8);

impl Randomness for Counter {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), RandomnessError> {
        for byte in buffer {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
        Ok(())
    }
}

pub fn parse(certificate: &[u8], private_key: Option<&[u8]>, ca: Option<&[u8]>) -> Result<Material, MaterialError> {
    Material::parse(&RawMaterial { certificate, private_key, ca }, &Limits::default())
}

pub fn render_one(format: Format, material: &Material, options: &RenderOptions) -> Result<Artifact, RenderError> {
    let one = EnvironmentMaterial { environment: "production", material };
    render(format, &[one], options, &mut Counter(0))
}

/// PEM around DER, so that a fuzzer need not learn base64.
pub fn pem(label: &str, der: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut base64 = String::with_capacity(der.len() * 2);
    for chunk in der.chunks(3) {
        let word = chunk.iter().chain(&[0, 0]).take(3).fold(0_usize, |word, byte| word << 8 | usize::from(*byte));
        for position in 0..4 {
            base64.push(match position <= chunk.len() {
                true => char::from(ALPHABET[word >> (18 - 6 * position) & 63]),
                false => '=',
            });
        }
    }
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}
