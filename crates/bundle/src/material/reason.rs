//! Why material is unusable, or no file can be made of it, in one word.

crate::words! {
    /// What is wrong with material, or with the file asked for. docs/formats.md explains each.
    pub enum MaterialReason {
        /// More bytes than are read.
        TooLarge,
        /// More certificates than are read.
        TooManyCertificates,
        /// No certificate in it.
        NoCertificate,
        /// A certificate that cannot be read.
        BadCertificate,
        /// No private key in it.
        NoPrivateKey,
        /// More than one private key.
        SeveralPrivateKeys,
        /// The private key is encrypted.
        EncryptedPrivateKey,
        /// The private key cannot be read.
        BadPrivateKey,
        /// The private key is of a kind that is not supported.
        UnsupportedPrivateKey,
        /// The private key belongs to another certificate.
        KeyMismatch,
        /// Whether the private key belongs to the certificate cannot be computed.
        KeyUnverifiable,
        /// The certificates do not form one chain.
        BrokenChain,
        /// The format is made of intermediates, and there are none.
        EmptyChain,
        /// The format is made of the authority's certificates, and there are none.
        NoCa,
        /// The format is made of one environment.
        NotOneEnvironment,
        /// The format is made of every environment, and there are none.
        NoEnvironment,
        /// Two entries of an archive would have one name.
        NameClash,
        /// The format is encrypted, and there is no passphrase.
        PassphraseMissing,
        /// The options of the PKCS#12 file cannot be followed.
        Pkcs12Options,
        /// The manifest of an archive could not be written.
        Manifest,
        /// No random bytes were given.
        Randomness,
    }
}
