"""Which addresses a request for a client may go to: public ones, and nothing that leads elsewhere."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")

_REFUSED_V4: Final = tuple(
    IPv4Network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments, parts of which count as global
        "192.88.99.0/24",  # the deprecated relays of 6to4
        "168.63.129.16/32",  # a public address on which Azure answers to its own virtual machines
    )
)
_REFUSED_V6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo among them, which holds an IPv4 address
        "2002::/16",  # 6to4, which holds an IPv4 address
        "3fff::/20",  # documentation, RFC 9637; unknown to Python 3.11
    )
)

# The last label of a name: what begins with a digit like this is an address in some spelling
# (WHATWG URL, "ends in a number checker"), and 2130706433, 0x7f.1 or 0177.0.0.1 are all 127.0.0.1.
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")


def is_public(address: Address) -> bool:
    """Whether this is an address of the public Internet, and no other address travels inside it."""
    if isinstance(address, IPv4Address):
        usual = address.is_global and not (address.is_multicast or address.is_reserved)
        return usual and not any(address in network for network in _REFUSED_V4)
    if address.scope_id is not None:
        return False
    if address in _NAT64:  # how a host without IPv4 reaches any IPv4 host at all, RFC 6052
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    # Outside 2000::/3 are the IPv4-mapped, the IPv4-compatible, the local-use NAT64 and the site-local ones.
    usual = address.is_global and address in _GLOBAL_UNICAST
    return usual and not any(address in network for network in _REFUSED_V6)


def is_loopback(address: Address) -> bool:
    """127.0.0.0/8 and ::1, spelt as what they are."""
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None


def literal(host: str) -> Address | None:
    """The address that a URL's host is, or None for a name.

    Raises ValueError for an address in a spelling that programs read differently.
    """
    try:
        return ip_address(host)
    except ValueError:
        if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
            raise ValueError(f"{host!r} is an address in an unusual spelling") from None
        return None
