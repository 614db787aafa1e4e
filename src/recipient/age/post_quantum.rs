//! Post-quantum (`age1pq1…`): HPKE (RFC 9180, base mode) over ML-KEM-768 and X25519 together (X-Wing), the variety
//! `mlkem768x25519` of the age format. An attacker has to break both.

use std::collections::HashSet;

use age::{DecryptError, EncryptError};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{bech32_decode, bech32_encode, hpke_open, hpke_seal};
use age_core::secrecy::ExposeSecret;
use base64_simd::STANDARD_NO_PAD;
use bech32::Hrp;
use hpke::generic_array::GenericArray;
use hpke::generic_array::typenum::{Sum, U32, U96, U192, U1024};
use hpke::kem::SharedSecret;
use hpke::rand_core::{CryptoRng, OsRng, RngCore};
use hpke::{Deserializable, HpkeError, Kem, Serializable};
use ml_kem::kem::{Decapsulate as _, Encapsulate as _};
use ml_kem::{EncodedSizeUser as _, KemCore, MlKem768};
use sha3::digest::{Digest as _, ExtendableOutput as _, Update as _, XofReader as _};
use x25519_dalek::{PublicKey as Point, StaticSecret};
use zeroize::Zeroizing;

use super::{Identities, Identity, Readable, Trouble, Variety};

const RECIPIENT: Hrp = Hrp::parse_unchecked("age1pq");
const IDENTITY: Hrp = Hrp::parse_unchecked("AGE-SECRET-KEY-PQ-");
const IDENTITY_PREFIX: &str = "AGE-SECRET-KEY-PQ-1";
const TAG: &str = "mlkem768x25519";
const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// The label that keeps age files from mixing this variety with weaker ones.
const LABEL: &str = "postquantum";
/// X-Wing's own label.
const COMBINER: &[u8] = br"\.//^\";
/// The lengths of ML-KEM-768's public key and ciphertext; an X25519 point follows each.
const ENCAPSULATION_KEY: usize = 1184;
const CIPHERTEXT: usize = 1088;
const POINT: usize = 32;

pub(super) const VARIETY: Variety = Variety {
    title: "a post-quantum age recipient",
    names: |text| text.starts_with("age1pq1"),
    recipient: |text, _| {
        let public = decode(text, RECIPIENT).and_then(|bytes| Public::from_bytes(&bytes).ok());
        public.map(|public| Box::new(Recipient(public)) as _).ok_or_else(String::new)
    },
    expected: "expected age1pq1 and 1952 more characters; a mistyped one doesn't pass its checksum",
    identity: Some(Readable { prefix: IDENTITY_PREFIX, read: |line| Some(Box::new(Hybrid::read(line)?)) }),
};

/// A new identity's line and its recipient.
pub(super) fn generate() -> (Zeroizing<String>, String) {
    let mut seed = Zeroizing::new([0; 32]);
    OsRng.fill_bytes(&mut *seed);
    let lower = Zeroizing::new(bech32_encode(IDENTITY, &*seed));
    (Zeroizing::new(lower.to_uppercase()), Hybrid::new(Secret::expand(&seed)).recipient)
}

fn decode(text: &str, prefix: Hrp) -> Option<Zeroizing<Vec<u8>>> {
    let read = bech32_decode(text, |_| (), |found| (found == prefix).then_some(()).ok_or(()), |_, bytes| Ok(bytes.collect::<Vec<u8>>()));
    read.ok().map(Zeroizing::new)
}

struct Recipient(Public);

impl age::Recipient for Recipient {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let (enc, body) = hpke_seal::<XWing, _>(&self.0, INFO, file_key.expose_secret(), &mut OsRng);
        let stanza = Stanza { tag: TAG.to_owned(), args: vec![STANDARD_NO_PAD.encode_to_string(enc.0)], body };
        Ok((vec![stanza], HashSet::from([LABEL.to_owned()])))
    }
}

/// An identity and the recipient that it opens for.
struct Hybrid {
    secret: Secret,
    recipient: String,
}

impl Hybrid {
    fn new(secret: Secret) -> Hybrid {
        let recipient = bech32_encode(RECIPIENT, &XWing::sk_to_pk(&secret).to_bytes());
        Hybrid { secret, recipient }
    }

    fn read(line: &str) -> Option<Hybrid> {
        let seed = decode(line, IDENTITY)?;
        Some(Hybrid::new(Secret::from_bytes(&seed).ok()?))
    }

    fn open(&self, stanza: &Stanza) -> Option<Result<FileKey, Trouble>> {
        let invalid = || Some(Err(Trouble::Damaged(DecryptError::InvalidHeader)));
        let [enc] = stanza.args.as_slice() else { return invalid() };
        let decoded = STANDARD_NO_PAD.decode_to_vec(enc).ok().and_then(|bytes| Encapsulated::from_bytes(&bytes).ok());
        // The length is fixed, so that no ciphertext can be made to open under many keys.
        let (Some(enc), true) = (decoded, stanza.body.len() == FILE_KEY_BYTES + 16) else { return invalid() };
        // A key that doesn't fit shows only here: ML-KEM rejects implicitly.
        let opened = Zeroizing::new(hpke_open::<XWing>(&enc, &self.secret, INFO, &stanza.body).ok()?);
        let file_key = FileKey::try_init_with_mut(|key| {
            (opened.len() == key.len()).then(|| key.copy_from_slice(&opened)).ok_or(Trouble::Damaged(DecryptError::DecryptionFailed))
        });
        Some(file_key)
    }
}

impl Identity for Hybrid {
    fn recipient(&self) -> Option<&str> {
        Some(&self.recipient)
    }

    fn unwrap(&self, stanzas: &[Stanza], _identities: &Identities) -> Option<Result<FileKey, Trouble>> {
        stanzas.iter().filter(|stanza| stanza.tag == TAG).find_map(|stanza| self.open(stanza))
    }
}

/// X-Wing as HPKE's KEM (draft-ietf-hpke-pq, MLKEM768-X25519).
struct XWing;

/// The public halves, as they are sent.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Public([u8; ENCAPSULATION_KEY + POINT]);

/// The 32 bytes that both private halves come from.
#[derive(Clone)]
struct Secret {
    seed: Zeroizing<[u8; 32]>,
    lattice: <MlKem768 as KemCore>::DecapsulationKey,
    curve: StaticSecret,
}

/// The ciphertext of the one half and the ephemeral point of the other.
#[derive(Clone)]
struct Encapsulated([u8; CIPHERTEXT + POINT]);

/// What is known to be of this length splits in front of its last point.
fn halves<const N: usize>(bytes: &[u8; N]) -> (&[u8], [u8; POINT]) {
    let (lattice, curve) = bytes.split_at(N - POINT);
    let mut point = [0; POINT];
    point.copy_from_slice(curve);
    (lattice, point)
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], HpkeError> {
    bytes.try_into().map_err(|_| HpkeError::IncorrectInputLength(N, bytes.len()))
}

impl Public {
    fn lattice(&self) -> Option<<MlKem768 as KemCore>::EncapsulationKey> {
        let encoded = halves(&self.0).0.try_into().ok()?;
        Some(<MlKem768 as KemCore>::EncapsulationKey::from_bytes(&encoded))
    }
}

impl Serializable for Public {
    type OutputSize = Sum<U1024, U192>;

    fn write_exact(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.0);
    }
}

impl Deserializable for Public {
    /// FIPS 203 asks for the modulus check: a key that isn't reduced doesn't come out as it went in. A point of low
    /// order would give no secret with any key.
    fn from_bytes(bytes: &[u8]) -> Result<Public, HpkeError> {
        let public = Public(exact(bytes)?);
        let (lattice, point) = halves(&public.0);
        let reduced = public.lattice().is_some_and(|key| key.as_bytes().as_slice() == lattice);
        let contributes = StaticSecret::from([1; 32]).diffie_hellman(&Point::from(point)).was_contributory();
        (reduced && contributes).then_some(public).ok_or(HpkeError::ValidationError)
    }
}

impl Secret {
    fn expand(seed: &[u8; 32]) -> Secret {
        let mut stream = sha3::Shake256::default().chain(seed).finalize_xof();
        let [mut d, mut z, mut curve] = [(); 3].map(|()| Zeroizing::new([0; 32]));
        [&mut d, &mut z, &mut curve].into_iter().for_each(|part| stream.read(&mut **part));
        let (lattice, _) = MlKem768::generate_deterministic(&(*d).into(), &(*z).into());
        Secret { seed: Zeroizing::new(*seed), lattice, curve: StaticSecret::from(*curve) }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.curve.to_bytes() == other.curve.to_bytes()
    }
}

impl Eq for Secret {}

impl Serializable for Secret {
    type OutputSize = U32;

    fn write_exact(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&*self.seed);
    }
}

impl Deserializable for Secret {
    fn from_bytes(bytes: &[u8]) -> Result<Secret, HpkeError> {
        Ok(Secret::expand(&Zeroizing::new(exact(bytes)?)))
    }
}

impl Serializable for Encapsulated {
    type OutputSize = Sum<U1024, U96>;

    fn write_exact(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.0);
    }
}

impl Deserializable for Encapsulated {
    fn from_bytes(bytes: &[u8]) -> Result<Encapsulated, HpkeError> {
        exact(bytes).map(Encapsulated)
    }
}

/// The two shared secrets become one, bound to this exchange.
fn combined(lattice: &[u8], curve: &[u8], ephemeral: &[u8], public: &[u8]) -> SharedSecret<XWing> {
    let mut hash = sha3::Sha3_256::new();
    for part in [lattice, curve, ephemeral, public, COMBINER] {
        sha3::Digest::update(&mut hash, part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    SharedSecret(GenericArray::from(digest))
}

impl Kem for XWing {
    type PublicKey = Public;
    type PrivateKey = Secret;
    type EncappedKey = Encapsulated;
    type NSecret = U32;
    const KEM_ID: u16 = 0x647a;

    fn sk_to_pk(secret: &Secret) -> Public {
        let mut bytes = [0; ENCAPSULATION_KEY + POINT];
        bytes[..ENCAPSULATION_KEY].copy_from_slice(&secret.lattice.encapsulation_key().as_bytes());
        bytes[ENCAPSULATION_KEY..].copy_from_slice(Point::from(&secret.curve).as_bytes());
        Public(bytes)
    }

    /// age makes keys from random seeds, and takes no derived ones.
    fn derive_keypair(material: &[u8]) -> (Secret, Public) {
        let seed: [u8; 32] = sha3::Sha3_256::digest(material).into();
        let secret = Secret::expand(&Zeroizing::new(seed));
        let public = XWing::sk_to_pk(&secret);
        (secret, public)
    }

    fn decap(secret: &Secret, sender: Option<&Public>, encapsulated: &Encapsulated) -> Result<SharedSecret<XWing>, HpkeError> {
        let (ciphertext, ephemeral) = halves(&encapsulated.0);
        let ciphertext = ciphertext.try_into().map_err(|_| HpkeError::DecapError)?;
        let lattice = secret.lattice.decapsulate(&ciphertext).map_err(|()| HpkeError::DecapError)?;
        let curve = secret.curve.diffie_hellman(&Point::from(ephemeral));
        // The authenticated modes of HPKE aren't part of the age format; a point of low order gives no secret.
        if sender.is_some() || !curve.was_contributory() {
            return Err(HpkeError::DecapError);
        }
        Ok(combined(&lattice, curve.as_bytes(), &ephemeral, Point::from(&secret.curve).as_bytes()))
    }

    fn encap<R: CryptoRng + RngCore>(
        public: &Public,
        sender: Option<(&Secret, &Public)>,
        random: &mut R,
    ) -> Result<(SharedSecret<XWing>, Encapsulated), HpkeError> {
        let (_, point) = halves(&public.0);
        let lattice = public.lattice().ok_or(HpkeError::EncapError)?;
        let (ciphertext, lattice) = lattice.encapsulate(random).map_err(|()| HpkeError::EncapError)?;
        let ephemeral = StaticSecret::random_from_rng(random);
        let curve = ephemeral.diffie_hellman(&Point::from(point));
        if sender.is_some() || !curve.was_contributory() {
            return Err(HpkeError::EncapError);
        }
        let mut bytes = [0; CIPHERTEXT + POINT];
        bytes[..CIPHERTEXT].copy_from_slice(&ciphertext);
        bytes[CIPHERTEXT..].copy_from_slice(Point::from(&ephemeral).as_bytes());
        let (_, sent) = halves(&bytes);
        Ok((combined(&lattice, curve.as_bytes(), &sent, &point), Encapsulated(bytes)))
    }
}
