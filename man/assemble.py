#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Fill a manual page in: @NAME@ from the arguments, a line @document WORDS@ by what the command prints.

  man/assemble.py TEMPLATE VIREO [NAME=VALUE...]
"""

import re
import subprocess
import sys


def main():
    template, vireo = sys.argv[1:3]
    values = dict(argument.split("=", 1) for argument in sys.argv[3:])
    with open(template, encoding="utf-8") as file:
        for line in file:
            document = re.fullmatch(r"@document (.*)@\n", line)
            if document:
                command = [vireo, "document", *document.group(1).split()]
                sys.stdout.write(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            else:
                sys.stdout.write(re.sub(r"@([A-Z]+)@", lambda found: values[found.group(1)], line))


if __name__ == "__main__":
    main()
