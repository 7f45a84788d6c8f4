"""The addresses that a robot says it has."""

from ot2deploy.enroll.addresses import parse

IPROUTE = """\
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc pfifo_fast state UP group default qlen 1000
    inet 169.254.92.42/16 brd 169.254.255.255 scope link noprefixroute eth0
3: eth1@if4: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500
    inet 10.0.0.9/24 brd 10.0.0.255 scope global eth1
4: wlan0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc pfifo_fast state UP group default qlen 1000
    inet 192.168.1.20/24 brd 192.168.1.255 scope global dynamic noprefixroute wlan0
"""
IFCONFIG = """\
eth0      Link encap:Ethernet  HWaddr B8:27:EB:00:00:01
          inet addr:169.254.92.42  Bcast:169.254.255.255  Mask:255.255.0.0
lo        Link encap:Local Loopback
          inet addr:127.0.0.1  Mask:255.0.0.0
wlan0     Link encap:Ethernet  HWaddr B8:27:EB:00:00:02
          inet addr:192.168.1.20  Bcast:192.168.1.255  Mask:255.255.255.0
"""


def test_those_of_the_cable_and_of_itself_are_left_out_and_wifi_comes_first():
    assert parse(IPROUTE) == ("192.168.1.20", "10.0.0.9")


def test_busyboxs_ifconfig_is_understood():
    assert parse(IFCONFIG) == ("192.168.1.20",)


def test_a_robot_that_says_nothing_has_none():
    assert parse("") == ()
