"""The listener that the clients of `LocalKafka` connect to: its TLS and SASL, and what a client sets to get in."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from headrace.base.errors import ConfigError, LogError

__all__ = ["ADMIN", "ListenerSecurity", "Mechanism", "SecurityProtocol", "make_certificates"]

SecurityProtocol = Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]

ADMIN = "admin"
_NEW_KEY = "req -new -newkey rsa:2048 -nodes -sha256 -keyout"
_MODULES: Mapping[Mechanism, str] = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "OAUTHBEARER": "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule",
}


@dataclass(frozen=True, slots=True)
class ListenerSecurity:
    """How clients get in. Brokers and controllers talk among themselves without any of it.

    Attributes:
        users: passwords by name, `admin` among them; every mechanism knows all of them.
        folder: where the certificates are.
        asks_certificate: a client has to show one (`ssl.client.auth`).
    """

    protocol: SecurityProtocol
    mechanism: Mechanism
    users: Mapping[str, str]
    folder: Path
    asks_certificate: bool = False

    def __post_init__(self) -> None:
        if self.protocol not in ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"):
            raise ConfigError(
                f"no such security {self.protocol!r}: plaintext, ssl, sasl_plaintext or sasl_ssl"
            )
        if self.mechanism not in _MODULES:
            raise ConfigError(f"no such SASL mechanism {self.mechanism!r}: {', '.join(_MODULES)}")

    @property
    def has_tls(self) -> bool:
        return self.protocol in ("ssl", "sasl_ssl")

    @property
    def has_sasl(self) -> bool:
        return self.protocol in ("sasl_plaintext", "sasl_ssl")

    def broker_properties(self) -> dict[str, str]:
        """Give what a broker's `server.properties` needs for the listener named CLIENT."""
        properties: dict[str, str] = {}
        if self.has_tls:
            properties |= {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(self.folder / "broker.pem"),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(self.folder / "ca.pem"),
            }
        if self.has_sasl:
            properties["sasl.enabled.mechanisms"] = ",".join(_MODULES)
            for mechanism, module in _MODULES.items():
                name = f"listener.name.client.{mechanism.lower()}.sasl.jaas.config"
                properties[name] = f"{module} required{self._broker_options(mechanism)};"
        return properties

    def client_properties(self, user: str, mechanism: Mechanism | None = None) -> dict[str, str]:
        """Give what a client sets to get in as `user`; `bootstrap.servers` is not among it.

        Raises:
            ConfigError: there is no such user.
        """
        properties = {"security.protocol": self.protocol.upper()}
        if self.has_tls:
            properties |= {
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(self.folder / "ca.pem"),
            }
            if self.asks_certificate:
                properties |= {
                    "ssl.keystore.type": "PEM",
                    "ssl.keystore.location": str(self.folder / "client.pem"),
                }
        if self.has_sasl:
            if user not in self.users:
                raise ConfigError(
                    f"the local Kafka has no user {user!r}, only {', '.join(sorted(self.users))}"
                )
            chosen = mechanism or self.mechanism
            if chosen == "OAUTHBEARER":
                options = f'unsecuredLoginStringClaim_sub="{user}"'
            else:
                options = f'username="{user}" password="{self.users[user]}"'
            properties |= {
                "sasl.mechanism": chosen,
                "sasl.jaas.config": f"{_MODULES[chosen]} required {options};",
            }
        return properties

    def scram_credentials(self) -> list[str]:
        """Give the arguments with which a storage is formatted so that SCRAM knows the users."""
        if not self.has_sasl:
            return []
        return [
            argument
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for user, password in sorted(self.users.items())
            for argument in ("--add-scram", f"{mechanism}=[name={user},password={password}]")
        ]

    def _broker_options(self, mechanism: Mechanism) -> str:
        if mechanism == "PLAIN":
            return "".join(f' user_{user}="{password}"' for user, password in sorted(self.users.items()))
        if mechanism == "OAUTHBEARER":
            # Without a claim of its own the broker's side accepts unsigned tokens of any subject.
            return ' unsecuredLoginStringClaim_sub="broker"'
        return ""


def make_certificates(folder: Path) -> None:
    """Make an authority (ca.pem), and a broker and a client it vouches for (key and certificate in one PEM each).

    The broker is good for 127.0.0.1 and localhost; all of them for ten days.

    Raises:
        LogError: openssl is missing or fails.
    """
    if shutil.which("openssl") is None:
        raise LogError("cannot make certificates for the local Kafka: there is no `openssl` on PATH")
    folder.mkdir(parents=True, exist_ok=True)
    authority = "[v3]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
    _openssl(folder, _NEW_KEY, "ca.key", "-subj", "/CN=Local Kafka authority", "-out", "ca.csr")
    (folder / "ca.ext").write_text(authority + "subjectKeyIdentifier=hash\n")
    _openssl(folder, "x509 -req -days 10 -in ca.csr -signkey ca.key", *_signed("ca", "ca.pem"))
    names = {
        "broker": "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n",
        "client": "extendedKeyUsage=clientAuth\n",
    }
    for name, extensions in names.items():
        # Python 3.13 and later refuse a certificate that does not name the key that signed it.
        identifiers = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        (folder / f"{name}.ext").write_text(f"[v3]\nbasicConstraints=CA:FALSE\n{identifiers}{extensions}")
        _openssl(folder, _NEW_KEY, f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr")
        request = f"x509 -req -days 10 -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial"
        _openssl(folder, request, *_signed(name, f"{name}.crt"))
        both = folder / f"{name}.pem"
        both.write_text((folder / f"{name}.key").read_text() + (folder / f"{name}.crt").read_text())
        both.chmod(0o600)


def _signed(name: str, out: str) -> list[str]:
    return ["-sha256", "-extfile", f"{name}.ext", "-extensions", "v3", "-out", out]


def _openssl(folder: Path, command: str, *arguments: str) -> None:
    ran = subprocess.run(
        ["openssl", *command.split(), *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise LogError(f"cannot make certificates for the local Kafka: openssl: {ran.stderr.strip()}")
