import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.HexFormat;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/** Opens files as a Java program does: lines of KIND FILE on standard input; prints as the other readers do. */
public class Reader {
    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] parts = line.split(" ", 2);
            System.out.println("file " + parts[1]);
            try {
                byte[] content = Files.readAllBytes(Path.of(parts[1]));
                System.out.print(parts[0].equals("zip") ? entries(content) : certificates(content));
            } catch (Exception error) {
                System.out.println("error " + error);
            }
        }
    }

    private static String certificates(byte[] content) throws Exception {
        StringBuilder found = new StringBuilder();
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        for (Certificate certificate : factory.generateCertificates(new ByteArrayInputStream(content))) {
            found.append("certificate ").append(sha256(certificate.getEncoded())).append('\n');
        }
        return found.toString();
    }

    /** As a stream, which has no list of contents to go by. */
    private static String entries(byte[] content) throws Exception {
        StringBuilder found = new StringBuilder();
        try (ZipInputStream zip = new ZipInputStream(new ByteArrayInputStream(content))) {
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
                found.append("entry ").append(entry.getName()).append(' ').append(sha256(zip.readAllBytes())).append('\n');
            }
        }
        return found.toString();
    }

    private static String sha256(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }
}
