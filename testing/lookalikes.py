"""Names and what looks like them, by the script whose letters they borrow; and first names as users have them."""

# In a usual spelling of the name: Kim, kim or KIM.
_LOOKALIKES_BY_SCRIPT = """
Case: ivan=lVAN ivan=lvan admin=ADMlN bill=BlLL alice=aIice alice=AIice anna-ines=Anna-lnes bob=B0B eloise=EL0ISE
Second dots: alice=ali\u0307ce kim=Ki\u0307m jim=j\u0307im juri=j\u0307uri\u0307 ivan=і\u0307van maja=maј\u0307a
Palochka: alice=aӏice olga=oӏga paul=pauӏ ali=Aӏi ivan=ӏVAN
Fonts: sam=տam oscar=ᲂscar vera=ⱱera
Several: kim=КІМ nina=ΝΙΝА mike=МΙКЕ eve=ЕѴЕ toni=ΤΟΝІ boris=ВОRІЅ max=МΑХ tom=ТОΜ
Ahom: emma=e𑜀𑜀a tom=to𑜀
Arabic: leo=اeه otto=هttه
Arabic digits: leo=١e٥ otto=٥tt٥
Armenian: hugo=հսցօ noah=ոօaհ boss=bօտտ
Bamum: eve=EꛟE ivan=IꛟAN
Bengali: otto=০TT০ zoe=Z০E
Canadian syllabics: paula=ᑭᗅᑌᒪᗅ paul=ᑭᗅᑌᒪ
Carian: otto=𐊫𐊱𐊱𐊫 tom=𐊱𐊫𐊰
Cherokee: teacher=ᎢᎬᎪᏟᎻᎬᎡ sarah=ᏕᎪᎡᎪᎻ peter=ᏢᎬᎢᎬᎡ
Coptic: otto=ⲞⲦⲦⲞ tom=ⲦⲞⲘ kim=ⲔⲒⲘ
Cyrillic: teacher=ТеасҺег sarah=ѕагаҺ oscar=оѕсаг maria=Магіа carol=сагоІ boris=Ьогіѕ alice=аІісе theo=ТҺео otto=ОТТО
    mike=МІКЕ lisa=Ііѕа kate=КАТЕ
Deseret: boss=b𐐬𐑈𐑈 ops=𐐬p𐑈
Devanagari: otto=०tt० zoe=z०e
Digits: otto=0TT0 olga=01ga
Elbasan: leo=𐔦E𐔖 felix=𐔥E𐔦I𐔧
Ethiopic: otto=ዐTTዐ hugo=HሀGዐ
Georgian: otto=ჿttჿ zoe=zჿe
Greek: paula=ραυΙα maria=Μαᴦια julia=ϳυΙια hanna=ΗΑΝΝΑ anton=ΑΝΤΟΝ theo=ΤΗΕΟ paul=ραυΙ otto=ΟΤΤΟ noah=ΝΟΑΗ nina=ΝΙΝΑ
    mike=ΜΙΚΕ kate=ΚΑΤΕ
Gujarati: otto=૦tt૦ zoe=z૦e
Gurmukhi: otto=੦tt੦ zoe=z੦e
Hebrew: leo=וeס otto=סttס
Kannada: otto=೦tt೦ zoe=z೦e
Lao: otto=໐tt໐ zoe=z໐e
Latin: ella=ꬲƖƖɑ leo=Ɩꬲᴏ ali=ɑƖı olga=ᴏƖƍɑ luis=Ɩʋıƽ lisa=Ɩıƽɑ lucas=Ɩʋᴄɑƽ julia=ꞲʋƖıɑ carol=ᴄɑꭇᴏƖ alice=ɑƖıᴄꬲ
    sofia=ƽᴏẝıɑ paula=pɑʋƖɑ
Lisu: operator=ꓳꓑꓰꓣꓮꓔꓳꓣ teacher=ꓔꓰꓮꓚꓧꓰꓣ victor=ꓦꓲꓚꓔꓳꓣ
Lycian: otto=𐊒𐊗𐊗𐊒 boss=𐊂𐊒𐊖𐊖
Malayalam: otto=ഠttഠ zoe=zഠe
Miao: luis=𖼖𖽂𖼨𖼺 lisa=𖼖𖼨𖼺𖽀
Myanmar: otto=ဝttဝ zoe=zဝe
N'Ko: otto=߀TT߀ olga=߀ߊga
Old Italic: otto=𐌏𐌕𐌕𐌏 tom=𐌕𐌏𐌑
Oriya: otto=ଠTTଠ zoe=ZଠE
Osage: operator=𐓂PE𐒴AT𐓂𐒴 otto=𐓪tt𐓪
Persian digits: leo=۱e۵ otto=۵tt۵
Runic: kim=ᛕᛁᛖ mike=ᛖᛁᛕE
Tamil: otto=௦tt௦ zoe=z௦e
Telugu: otto=౦tt౦ zoe=z౦e
Thai: otto=๐tt๐ zoe=z๐e
Tifinagh: eve=ⴹⴸⴹ ella=ⴹⵏⵏa
Tirhuta: otto=𑓐TT𑓐 zoe=Z𑓐E
Warang Citi: otto=𑢵𑢼𑢼𑢵 luis=𑢣𑣘𑣃𑣁
"""

_FIRST_NAMES = """
Adam Ahmed Aisha Alan Albert Alejandro Alex Alexandra Ali Alice Alina All Amelia Amina Amy Ana Anders Andrea Andrew
Angela Anja Anna Anne Annika Anton Antonio Arne Arthur Astrid Barbara Beatrice Ben Benjamin Bernd Bill Björn Bob
Brian Bruno Carl Carla Carlos Carmen Carol Caroline Catherine Cem Charles Charlotte Chloe Chris Christian Claire
Clara Claudia Cornelia Cora Daniel Daniela David Deniz Dennis Diana Diego Dominik Dora Dorota Edith Eduard Elena
Elif Elisa Elizabeth Ella Ellen Elsa Emil Emilia Emily Emma Enrico Eric Erik Erika Ernst Esther Eva Eve Fabian
Fatima Felix Finn Fiona Francesco Frank Franz Frida Fritz Gabriel Georg George Gina Giovanni Grace Greta Guido
Gustav Hannah Hans Harry Heidi Helen Helena Henri Henry Hugo Ian Ida Igor Ilse Ina Ines Inga Ingrid Irene Iris Isabel
Ivan Ivo Jack Jacob James Jan Jana Jane Janina Jens Jim Joanna Joe Johanna John Jonas José Josef Juan Julia Julian
Julius Karin Karl Kate Katja Kemal Kevin Kim Klara Klaus Konrad Kurt Lara Lars Laura Lea Leila Lena Leo Leon Lia
Liam Lili Lilly Lina Linda Lisa Lola Lorenzo Louis Louise Luca Lucas Lucy Luis Luisa Lukas Lydia Magda Maja Manuel
Marc Marco Maria Marie Mario Marta Martin Mary Mateo Max Maya Mehmet Mia Michael Miguel Mike Mila Milan Mira Mohammed
Moritz Nadia Nadja Natalie Nele Nick Nico Nicole Nina Noah Noel Nora Olaf Olga Oliver Olivia Omar Oscar Oskar Otto
Pablo Paolo Pat Patrick Paul Paula Pedro Peter Petra Philip Pia Rachel Rafael Ralf Rebecca Rita Robert Robin Rosa
Ruth Ryan Sabine Said Sam Samuel Sandra Sara Sarah Sean Selim Simon Sofia Sonja Sophie Stefan Stella Steve Susan Sven
Tanja Tara Theo Thomas Tim Tina Tobias Tom Toni Ulla Uma Ursula Uwe Valentin Vera Victor Viktor Vincent Walter
Wanda Werner William Willi Xaver Yann Yara Yasmin Yusuf Yves Zoe Zoë Zora Łukasz Žiga Đorđe Dorde Çağla Şeyma Müge
Nguyễn Ngân Søren Åsa Ása José-Luis Anna-Lena Renée Rene Þór Óðinn Élodie Noël İpek Işık
Адам Александр Алексей Алёна Алина Алла Анастасия Андрей Анна Антон Артём Богдан Борис Вадим Валентина Варвара
Василий Вера Виктор Виктория Виталий Владимир Галина Георгий Григорий Дарья Денис Дмитрий Ева Евгений Егор
Екатерина Елена Женя Зоя Иван Игорь Илья Инна Ирина Кирилл Константин Ксения Лариса Лев Леонид Лидия Любовь Людмила
Максим Маргарита Марина Мария Михаил Надежда Наталья Никита Николай Нина Оксана Олег Ольга Павел Полина Роман Руслан
Светлана Семён Сергей София Степан Тарас Татьяна Тимур Ульяна Фёдор Юлия Юрий Яна Ярослав Ілля Їжак Олексій Андрій
Александър Ђорђе Љубица Ћирил Његош
Αθηνά Αικατερίνη Αλέξανδρος Αναστασία Ανδρέας Άννα Αντώνης Βασίλης Γεωργία Γιάννης Γιώργος Δήμητρα Δημήτρης Ειρήνη
Ελένη Ευαγγελία Ζωή Ηλίας Θανάσης Ιωάννα Κατερίνα Κώστας Λουκάς Μαρία Μιχάλης Νίκος Νικολέτα Ξένια Όλγα
Παναγιώτης Πέτρος Ρένα Σοφία Σπύρος Στέλιος Τάσος Φωτεινή Χρήστος
Աննա Արամ Գոռ Դավիթ Հայկ Մարիամ Նարեկ Տիգրան ანა გიორგი დავით ნინო თამარ ლუკა
אברהם דוד יוסף משה נועה רחל שרה תמר أحمد علي فاطمة محمد مريم يوسف حسن حسين ليلى نور زينب رضا شیرین
आदित्य अनिता दीपा राज सीता கவிதா ราตรี สมชาย 伟 芳 娜 敏 静 丽 强 磊 王芳 李娜 さくら ハルト ゆい 민준 서연 지우
"""

# A name, and what looks like it.
LOOKALIKES: list[tuple[str, str]] = []
for _line in _LOOKALIKES_BY_SCRIPT.strip().split("\n"):
    LOOKALIKES += [(name, other) for name, _, other in (pair.partition("=") for pair in _line.split(": ")[-1].split())]

FIRST_NAMES = _FIRST_NAMES.split()  # none of which looks like another one
