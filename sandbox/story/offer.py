"""The offer that Ann writes to Carla: as a person writes it, with a logo, a button and a signature."""

from __future__ import annotations

LOGO_ID = "logo@fernhill.example"
HTML = f"""\
<table role="presentation" width="100%" cellpadding="0" cellspacing="0">
<tr><td style="padding: 0 0 14px; border-bottom: 2px solid #1f6b58">
<img src="cid:{LOGO_ID}" width="56" height="56" alt="Northwind"></td></tr>
<tr><td style="padding: 18px 0; font: 15px/1.6 Arial, sans-serif; color: #24312c">
<p style="margin: 0 0 12px">Dear Carla, here is our offer.</p>
<table cellpadding="6" cellspacing="0" style="border-collapse: collapse; font-size: 14px">
<tr bgcolor="#eaf3ee"><th align="left">Item</th><th align="right">Price</th></tr>
<tr><td>10 chairs, oak</td><td align="right">1,200.00</td></tr>
<tr><td style="border-top: 1px solid #cfdad4"><b>Sum</b></td>
<td align="right" style="border-top: 1px solid #cfdad4"><b>1,200.00</b></td></tr></table>
<p style="margin: 18px 0"><a href="https://northwind.example/offers/17"
style="display: inline-block; padding: 11px 24px; background-color: #1f6b58; color: #ffffff;
border-radius: 6px; text-decoration: none; font-weight: bold">Accept the offer</a></p></td></tr>
<tr><td style="border-top: 1px solid #cfdad4; padding-top: 10px; font: 13px/1.5 Arial, sans-serif; color: #5d6b65">
<b style="color: #1f6b58">Ann Archer</b><br>Northwind Traders &middot;
<a href="tel:+4930123456" style="color: #5d6b65">+49 30 123456</a></td></tr></table>"""
TEXT = """\
Dear Carla, here is our offer.

10 chairs, oak: 1,200.00
Accept the offer: https://northwind.example/offers/17

Ann Archer
Northwind Traders, +49 30 123456"""
LOGO = (
    "iVBORw0KGgoAAAANSUhEUgAAAHAAAABwAgMAAAC7jhzYAAAACVBMVEXq8+7ywU4fa1gNJ/XGAAABN0lEQVR42u2WPXKEMAyFHx6q"
    "VNvkPnuENMl5dJTUSbNH2JNk1KdJqYIRKdYY21j+KZOBGcwMH0/oSbZh+oB9OJzwP8DvTxuud9xMuACLCX+A1YR3f5bg6tXjVpYw"
    "/N2uyOMyhyGGXx1hJwC45JDocb36s5jQxatjqOCQ0Wxama54yaFsXvD8OlYEhlZ9kgmpElaBzctgVyT0hSpKLSg53GdDSXvPExje"
    "xGIoUy/zMQ06hpVt1EYRKIe8BZeakve0XBaKaoVn0B7Z5U60opT4AZcuoiTZg1I5SssVi7rNbv8VfEvuPr13zyEt5NynlOIc61Fy"
    "saM9SkJponUo81Xrs3clJ40lqBHksS2VdkhjSg5QB7dxCVBqSjaMtmtLhtGmUi2jTaVYRptKtjraVJLV0en8ET1hG/4C5fdY5JQw"
    "XmoAAAAASUVORK5CYII="
)
"""A PNG of 112 by 112 pixels, as base64."""
