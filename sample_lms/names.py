"""What simulated learners are called: names from many places, in several scripts and both directions."""

from __future__ import annotations

import random

#: For each origin: first parts and second parts, in the order in which they are said there.
ORIGINS = (
    (("Ada", "George", "Grace", "Oliver", "Ruth"), ("Bennett", "Clarke", "Okafor-Hall", "Walsh", "Young")),
    (("Zoë", "Jürgen", "Käthe", "Sören", "Anaïs"), ("Müller", "Groß", "Lefèvre", "Østergård", "Núñez")),
    (("Agnieszka", "Łukasz", "Žofie", "Dávid", "Ilze"), ("Wójcik", "Dvořák", "Szabó", "Bērziņš", "Kovačić")),
    (("Анна", "Дмитро", "Ольга", "Милош", "Елена"), ("Волкова", "Шевченко", "Јовић", "Петрова", "Иваненко")),
    (("Ελένη", "Νίκος", "Σοφία", "Γιώργος", "Δάφνη"), ("Παππά", "Νικολάου", "Αθανασίου", "Ράλλη", "Βασιλείου")),
    (("ליאת", "יונתן", "נועה", "איתי", "תמר"), ("כהן", "לוי", "מזרחי", "פרץ", "ברק")),
    (("ليلى", "يوسف", "مريم", "سامي", "نور"), ("حداد", "المصري", "خليل", "منصور", "العلي")),
    (("नेहा", "अर्जुन", "मीरा", "रोहन", "कविता"), ("शर्मा", "पटेल", "वर्मा", "जोशी", "गुप्ता")),
    (("王", "李", "陈", "赵", "林"), ("晓明", "静", "思远", "雨桐", "伟")),
    (("佐藤", "鈴木", "高橋", "山本", "中村"), ("美咲", "健太", "陽菜", "翔", "さくら")),
    (("김", "이", "박", "최", "정"), ("지우", "서연", "민준", "하은", "도윤")),
    (("Thandiwe", "Kwame", "Ngozi", "Amadou", "Wanjiru"), ("Dlamini", "Mensah", "Okonkwo", "Diallo", "Kamau")),
    (("María José", "João", "Lucía", "Tomás", "Inês"), ("García López", "da Silva", "Quispe", "Muñoz", "Araújo")),
    (("Nguyễn", "Trần", "Lê", "Phạm", "Võ"), ("Thị Mai", "Văn Hùng", "Minh Anh", "Quốc Bảo", "Thuỳ Linh")),
)


def draw_name(dice: random.Random) -> tuple[str, str]:
    """Return the two parts of a name, in the order in which they are said."""
    first, second = dice.choice(ORIGINS)
    return dice.choice(first), dice.choice(second)
