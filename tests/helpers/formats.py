"""Files of formats that packages read which are extras; DICOM where pydicom is installed."""

import base64
import io

import numpy as np

HEIC_HEAD = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(200)
HEIC = base64.b85decode(
    "0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<0004eZDn*}000000000XXk=`10000000000aA{+7000000000"
    "00000000000B57=IV*mgE07O6l0RRC200001pa1~?00000008Fz001LtX>Mi!000000RR916=`l}WdZ;I000"
    "310BCk&F#rGn01j|zbZr0t000010002|X>f9I0002oX>en20001WXm(>m0RwOV0058x000009`FGC{rLC*01"
    "pFT0096PKmiN^|NjGU00093kN^M!000939=ZZRVE_RDDMA4O18@KU0|1Z!00RI30{|YNAb|yz>aLpR;31&Ef"
    "B*mtfB*mk0EA)y0RRR>0l{;@i2wiq6Ju{|a&BX6cmM$a4FCp!0000KX>)L8000000000$0000$0000eV{Bn?"
    "0000W000010000O00001|NsBs00002|NsBk000020000GaA|mH000000|*ER0000OX>e^}0000000001009M"
    "o0s{qv0002*ZDe6|0002vC;_hqG9Bdsu!+2a9`@^pYh?i{36nXkRBm;kDv|@iDt}z+C-A$9v=u04Z^Xd=pbS"
    "ri@U75y_cA}#(?E$Z8sY?%*Py5dQuLG*j<l}~?zmVGNVntT;l|;d)8^%9wH>0g$j64Y<qwTt_5psmnm_l{h`"
    "p+2>DlrME>eVZjRu}Y`+eG`d@C>fKDuD{;4sy(AD_@>8np+-d%QS>#HaL;t)CmbeErT|-nh*J_8m_p5@&n#n"
    "NxIs<#)7#YghuO3|!{NT*>?!(^PM?lQ`8;T(V+^k(r48shWvo&`E3"
)
"""A ramp of 32 x 24 pixels."""

HEIC_TURNED = base64.b85decode(
    "0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<0005UZDn*}000000000XXk=`10000000000aA{+7000000000"
    "00000000000G-+&aV*mgE07O6l0ssL300001>i_`&00000008Fz0ssI200Png0RR9100000Bme*aIB98aW&i"
    "*H00062000$fZf0cy000000RRAKc4ILB0000LX>Mj^0ssI300IC2MR;ju000004sdC7Z2$lO00031009PRaB"
    "^?}008A_aAR)(004Dpc4I>U18@KU0FVFx0000U@BsY%`1k+-4+CHT0RR|40Sp2E{{wIU00RJ!0009300RIXx"
    "&lC90096gLID8-Z~y=U0FVFx0{{R603M(qfd!W8uA1iHA)vs3000bt00093gkk^z00u+>!E?ch0000JV{dG7"
    "ZewhC0096E00w{n000zeb8uw<00000002M$002M$001asY+-N!001BW00031000;O00061|Nr0s00092|Nqz"
    "k00062000nhX?SS>000032nYxO000STa&L440000PX>e^}0000000001009Pp0s{qvh5!Hn8fkK6W&i*H000"
    "004r63<V*mmG0RRC2009$iWMOmw0084C0j~x!9pwSAiM)ay_UnghWdSM)lR2$aZgrq4k^{jie_ZM(@Vkn%6)"
    "0zK#K8Zc3{Qpdt<ZP(GC$SRK#4FK;slk~pr{5?^pq5iw66^AxL6QKx8vjC#^IdP=H+O$9ip_z$A-1#4~<{;0"
    "e-ofKljv#y{cyE+42f5QiOAj2A)OxecGmcD=+*$x?uO<Fx9aipU`F+wFkv}yf}r#r}UAnpBub<{mx$AxXlCh"
    "9Zw|^XM6OSQ*?jjceH|QSOTXET;|7I$^0ABRByDCIMq>HvSNpknTY<Wnu%o4No)WB00u>PX=VTbO-%qQ0000"
    "80099K00RI30096700000000"
)
"""The same with orientation 6 in its EXIF data."""

HEIC_LARGE = base64.b85decode(
    "0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<00042ZDn*}000000000XXk=`10000000000aA{+7000000000"
    "00000000000B57=IV*mgE07O6l0RRC200001dH?|c00000006lF001LtX>Mi!000000RR916=`l}WdZ;I000"
    "310BCk&F#rGn01j|zbZr0t000010002iX>f9I0002DX>en20001ZXm(>m0RwOV0058x00000Jn#Vg{rLC*01"
    "pFT0096PKmiN^|NjGU00093kN^M!00093Jh}ovVE_RDD?$MQ18@KU0|1Z!00RI30{}dr2nY-oTd5?bxwr^uF"
    "dzT`0|Ouc00RIaVgLaE2SfqEa<F1R0000JV{dG7ZewhC0096E00w{n000zeb8uw<0000000961006)M000nh"
    "X?SS>000032nYxO000+haBX1#00000000310R({p0|Wp70Ksi!VRQfh0JSIquNh~Mt{fj|j|Z!_{i}8z_C}e"
    "g&+|C2At59-hx8F`#R>N^cce*V3tFI<wF<6|JeyqprT!a;j20nSa{G{dEGB#_Yh2Rx9ehhRyBgPxW8&Dwgx8"
    "(AnWEQa3T0xilQ>K6>NoJxtUYIaWcRM6zQ@tGR@FP^kG;FJKQ~L-@%v|cgXB4qmPV%e$lQa<%&*F9-Q91$Bs"
    "%R<_q@>sV<@w3kEUt?z!B3iRd<PAH$)%"
)
"""The same ramp of 256 x 192 pixels."""

HEIC_WITH_THUMBNAIL = base64.b85decode(
    "0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<0006|ZDn*}000000000XXk=`10000000000aA{+7000000000"
    "00000000000G-+&aV*mgE07O6l0ssL300002bN~SW00000006lF0ssI200S)m0RR9100000EdT%jIB98aW&i"
    "*H00062000$fZf0cy000000RRAKc4ILB0000LX>Mj^0ssI200IC2Xm(>U000004sdC7Z2$lO0003100EC_aB"
    "^?}00C)faAR)(004Msc4I>U18@KU0FVFx0000y@BsY%`1k+-4+CHT0RR|40Sp2E{{wIU00RJ!0009300RI#x"
    "&lC90096iLID8-Z~y=U0FVFx0{{R606d@w2n-fmsU)VkxCm%4AOHXZ10VnZ0{|gn00968L;=Bauwp;}000wX"
    "Z)|dIV{CW;0RRmE27mwn02FC+aAg1h000000RR910KfnM01$9#cxeCt0009B2nYZG0Cs40V?zN0Z~y=RkN^M"
    "x0018F0Q~*<_y7P817H9F02n|43<3ZD18@KU0|1Z!00RI30{|Yn0zhE^0RSpO0RaPW00093kN^M!000939-t"
    "tB1(xdMrn$HXXfPlE00RRc00093Az}al00u+>!E?Zg0000KX>)L8000000000$0000$0000eV{Bn?0000$00"
    "0010000m000010000000002|NsB+000020000UX>e^}0000000002009Jn0s{m90tAHy1cv|s02*m>Wo7^X0"
    "000001k9$ZDIfd009620002)ZDe6|0002BC;_h-XOONOA83yUtGE5Db{+OcnW)e6IItlhBsPci5pBf@_cC{+"
    "Nn{IJpqRA^u8usLT>hp08;Fb+Ay{(zkbNvBd@E~Q()AsDOE$Y2*NtQ1*u{j`ow}K#*JTQ2Vy}}pOYZ77@Y1Y"
    "3XMJS%uBE=m(YIFBJLZqQyR<(yOWN`KXM2O>Ig*w}ruoR+gUZaW%52@;Z@(lu?Nax=(FJ2Dvu=;3Y5~9z(=k"
    "<diC#BEAOHXWDJTK28G!CHt@hr%bbs`-a~Imi%Ma6B2flV}UfGEWt{ER?vE#2iLL2"
)
"""The same with a thumbnail of 64 pixels beside it."""


def dicom(values: np.ndarray, **attributes) -> bytes:
    """Return gray values of 16 bits, of which 12 are stored, or RGB, as DICOM."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    dataset, meta = Dataset(), FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.file_meta = meta
    bits = 8 * values.dtype.itemsize
    gray = values.ndim == 2
    usual = {
        "Rows": values.shape[0],
        "Columns": values.shape[1],
        "SamplesPerPixel": 1 if gray else 3,
        "PhotometricInterpretation": "MONOCHROME2" if gray else "RGB",
        "BitsAllocated": bits,
        "BitsStored": 12 if bits == 16 else bits,
        "HighBit": 11 if bits == 16 else bits - 1,
        "PixelRepresentation": int(values.dtype.kind == "i"),
        "PixelData": values.tobytes(),
    }
    if not gray:
        dataset.PlanarConfiguration = 0
    for name, value in (usual | attributes).items():
        if value is not None:
            setattr(dataset, name, value)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
