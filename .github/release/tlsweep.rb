# A Homebrew formula for a tap, as a template: RELEASING.md says what to fill in for @VERSION@, @URL@ and
# @SHA256@. Homebrew on Linux only, as tlsweep itself.
class Tlsweep < Formula
  desc "Mass TLS handshake scanner: one line in, one line out"
  homepage "@URL@"
  url "@URL@/archive/refs/tags/@VERSION@.tar.gz"
  sha256 "@SHA256@"
  license "MIT"

  depends_on "rust" => :build
  depends_on :linux

  def install
    system "cargo", "install", *std_cargo_args
    generate_completions_from_executable(bin/"tlsweep", "--generate", shell_parameter_format: "complete-")
    (man1/"tlsweep.1").write Utils.safe_popen_read(bin/"tlsweep", "--generate", "man")
  end

  test do
    assert_match "7 targets", shell_output("#{bin}/tlsweep --demo 2>&1")
  end
end
