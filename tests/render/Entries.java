import java.io.FileInputStream;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/** Reads a ZIP file as a stream and prints name and SHA-256 of each entry. */
public class Entries {
    public static void main(String[] arguments) throws Exception {
        try (ZipInputStream zip = new ZipInputStream(new FileInputStream(arguments[0]))) {
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
                byte[] digest = MessageDigest.getInstance("SHA-256").digest(zip.readAllBytes());
                System.out.println(entry.getName() + " " + HexFormat.of().formatHex(digest));
            }
        }
    }
}
