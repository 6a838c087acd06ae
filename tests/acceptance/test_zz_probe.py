from __future__ import annotations
import pytest, json
from django.test import Client
from tests.factories import *
from completion_aggregator.services import aggregate_stale
U="/api/completion/v1/"
def show(r): print(r.status_code, r.headers.get("Content-Type"), r.content[:200])
def test_probe(learner, staff):
    c=Client(raise_request_exception=False); c.force_login(staff); aggregate_stale()
    d=U+f"course/{COURSE_KEY}/"
    for h in ["text/html","*/*","application/xml"]:
        for u in [U+"course/", d, U+f"stats/{COURSE_KEY}/", U+"course/zzz/"]:
            print(h,u); show(c.get(u, headers={"Accept":h}))
    show(c.get(d+"?format=api")); show(c.get(d+"?format=xml")); show(c.options(d)); show(c.delete(d)); show(c.generic("FOO", d))
    for rb in ["lb:Org:lib:html:abc","lib-block-v1:Org+lib+type@html+block@x","aside-usage-v1:block-v1$:Org+Course+Run+type@html+block@h1::aside","i4x://Org/Course/html/h1", "i4x://Org/Course/html/h1@draft","block-v1:Org+Course+Run+branch@draft+type@html+block@h1","block-v1:Org+Course+Run+version@519665f6223ebd6980884f2b+type@html+block@h1","def-v1:519665f6223ebd6980884f2b+type@html","ccx-block-v1:Org+Course+Run+ccx@1+type@html+block@h1","lx-pb:x:y:z","block-v1:","aside-usage-v2:lb$:Org$:lib$:html$:abc::aside", "lct:a:b:c:d", "lib-collection:a:b:c","lb:Org:lib:html:abc\n", key("html/h1")+"\n"]:
        r=c.get(d,{"username":"ada","root_block":rb}); print(repr(rb)); show(r)
        r=c.get(U+"course/Org/Course/Run/",{"root_block":rb}); show(r)
    for k in ["course-v1:Org+Course+Run%0A","slashes:Org+Course+Run","library-v1:Org+lib","lib:Org:lib","ccx-v1:Org+Course+Run+ccx@1","course-v1:Org+Course+Run+branch@draft","course-v1:Org+Course+Run+version@519665f6223ebd6980884f2b","course-v1:org+course+run","/","//","course-v1:"+"a"*5000+"+b+c","Org/Course/Run//","%00","course-v1:O%00+C+R","%ff%fe","a/b/c", "block-v1:Org+Course+Run+type@html+block@h1"]:
        for e in ["course","stats"]:
            r=c.get(U+f"{e}/{k}/"); print(repr(k[:60])); show(r)
    for cs in ["zlib","base64","hex","rot13","bz2","utf-16","utf-7","undefined","idna","nonsense","latin-1","unicode_escape"]:
        r=c.generic("POST",d,b'{"user_ids":[1]}',content_type=f"application/json; charset={cs}"); print(cs); show(r)
        r=c.get(d+"?username=a%20da",headers={"Content-Type":f"application/json; charset={cs}"}); show(r)
        r=c.generic("GET",d+"?username=a%20da",content_type=f"application/json; charset={cs}"); show(r)
    show(c.get(d+"?"+"&".join(["a=1"]*1001)))
    show(c.generic("POST",d,b'',content_type=""))
    show(c.generic("POST",d,b'{}',content_type=""))
    show(c.generic("POST",d,b'{}',content_type="a/b; q=\xff"))
    show(c.generic("POST",d,b'{"include_optional":null}',content_type="application/json"))
    show(c.generic("POST",d,b'a=1',content_type="application/x-www-form-urlencoded"))
    show(c.generic("POST",d,b'',content_type="application/x-www-form-urlencoded"))
    show(c.generic("POST",d,b'['*100000,content_type="application/json"))
    show(c.generic("POST",d,b'\xef\xbb\xbf{}',content_type="application/json"))
    for u in ["1_0","%D9%A1","9223372036854775807","99999999999999999999","1..2","1,", "1"*5000]:
        r=c.get(d+"?user_ids="+u); print(u[:40]); show(r)
