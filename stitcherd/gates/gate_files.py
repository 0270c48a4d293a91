"""The files that gates and tools load by name, and which therefore decide what a gate checks; docs/security.md too.

A pattern with `/` at its end is a directory with all that is below it, one with `/` at its start stands only in the
root of the repository, and all others stand in any directory; `*` matches within one name. Case is ignored.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from itertools import chain

from stitcherd.rails.globs import name_pattern

GATE_FILES: Mapping[str, tuple[str, ...]] = {
    heading: tuple(patterns.split())
    for heading, patterns in {
        "make and other build tools": """
            Makefile GNUmakefile BSDmakefile makefile.* Makefile.* *.mk *.mak justfile .justfile *.just Taskfile*.yml
            Taskfile*.yaml Rakefile *.rake magefile*.go magefiles/ SConstruct SConscript wscript /waf /configure
            configure.ac configure.in aclocal.m4 CMakeLists.txt *.cmake CMakePresets.json CMakeUserPresets.json
            meson.build meson_options.txt meson.options build.ninja BUILD BUILD.bazel WORKSPACE WORKSPACE.bazel
            MODULE.bazel *.bzl .bazelrc .bazelversion BUCK .buckconfig pants.toml Earthfile Tiltfile Snakefile Procfile
            premake*.lua xmake.lua /tasks.py fabfile.py dodo.py pavement.py build.zig build.zig.zon
        """,
        "Python": """
            conftest.py pytest.ini .pytest.ini pytest.toml .pytest.toml tox.ini tox.toml setup.cfg setup.py
            pyproject.toml noxfile.py sitecustomize.py usercustomize.py *.pth *._pth pyvenv.cfg .venv/ venv/ .tox/ .nox/
            site-packages/ __pycache__/ .coveragerc* mypy.ini .mypy.ini pyrightconfig.json typings/ .pyre_configuration*
            pylintrc* .pylintrc* .flake8 ruff.toml .ruff.toml .isort.cfg .bandit bandit.y*ml .style.yapf .pep8
            pycodestyle.cfg unittest.cfg nose2.cfg .noserc nose.cfg behave.ini .behaverc features/environment.py
            /manage.py requirements*.txt requirements*.in requirements/ constraints*.txt Pipfile Pipfile.lock
            poetry.lock poetry.toml uv.lock uv.toml pdm.lock pdm.toml .pdm.toml hatch.toml pixi.toml pixi.lock
            environment.y*ml conda.y*ml pip.conf MANIFEST.in pylock*.toml _pytest/ *.dist-info/ *.egg-info/ *.egg-link
        """,
        "JavaScript and TypeScript": """
            package.json package.json5 package.yaml package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml
            pnpm-workspace.yaml .pnpmfile.* bun.lock* bunfig.toml deno.json* deno.lock .npmrc .yarnrc* .yarn/ .pnp.*
            node_modules/ jspm_packages/ __mocks__/ *.config.* .mocharc* mocha.opts jest.setup.* jest-setup.*
            setupTests.* vitest.setup.* vitest.workspace.* karma.conf.* protractor.conf* wdio.conf* nightwatch.conf*
            cypress.json cypress.env.json cypress/support/ cypress/plugins/ .nycrc* .c8rc* .taprc* .testcaferc*
            .eslintrc* .eslintignore .jshintrc .jscsrc tslint.json .oxlintrc* .xo-config* .babelrc* .swcrc .postcssrc*
            .browserslistrc .prettierrc* .prettierignore .stylelintrc* .stylelintignore biome.json* tsconfig*.json
            jsconfig*.json nx.json turbo.json* lerna.json rush.json angular.json .angular-cli.json .ember-cli* gulpfile*
            gruntfile* Jakefile* .storybook/ .lintstagedrc* .commitlintrc* .huskyrc* .size-limit* .knip.* knip.*
            .depcheckrc* .nvmrc .node-version .noderc import_map.json .ncurc* .releaserc*
        """,
        "Go": """
            go.mod go.sum go.work go.work.sum /vendor/ .golangci.* .mockery.* staticcheck.conf .gotestsum* revive.toml
            .gosec* goreleaser.y*ml .goreleaser.y*ml
        """,
        "Rust": """
            Cargo.toml Cargo.lock .cargo/ build.rs rust-toolchain* clippy.toml .clippy.toml rustfmt.toml .rustfmt.toml
            .config/nextest.toml nextest.toml tarpaulin.toml .tarpaulin.toml deny.toml Cross.toml xtask/ insta.yaml
            mutants.toml
        """,
        "Java, Kotlin, Scala and other languages of the JVM": """
            pom.xml .mvn/ mvnw mvnw.cmd maven-wrapper.* *.gradle *.gradle.kts gradle.properties gradlew gradlew.bat
            gradle/ .gradle/ buildSrc/ local.properties build.xml ivy.xml testng*.xml junit-platform.properties
            checkstyle*.xml pmd*.xml spotbugs*.xml detekt*.y*ml lint.xml *.sbt project/build.properties
            project/plugins.sbt build.sc build.mill /mill .mill-version .scalafix.conf .scalafmt.conf .sbtopts .jvmopts
            /sbt project.clj deps.edn bb.edn build.boot shadow-cljs.edn .clj-kondo/ archunit.properties
            META-INF/services/
        """,
        ".NET": """
            *.csproj *.fsproj *.vbproj *.vcxproj *.props *.targets *.sln *.slnx *.slnf *.rsp NuGet.config
            packages.config packages.lock.json global.json dotnet-tools.json *.runsettings *.testsettings
            xunit.runner.json *.xunit.runner.json testconfig.json *.ruleset *.globalconfig stylecop.json coverlet*.json
            build.cake build.fsx paket.* Directory.Build.*
        """,
        "Ruby": """
            Gemfile* gems.rb gems.locked *.gemspec .bundle/ .rspec* spec_helper.rb rails_helper.rb test_helper.rb
            .rubocop* Guardfile .simplecov Appraisals Capfile Dangerfile .standard.yml .reek* .irbrc .pryrc
            .ruby-version features/support/ cucumber.y*ml config/boot.rb .minitest* Thorfile Brakefile
            config/brakeman.yml
        """,
        "PHP": """
            composer.json composer.lock auth.json phpunit*.xml* phpstan* psalm*.xml* phpcs*.xml* .phpcs.xml*
            .php-cs-fixer* .php_cs* phpmd*.xml phpspec.y*ml behat.y*ml* behat.php codeception*.y*ml Pest.php
            infection.json* rector.php ecs.php grumphp.y*ml php.ini .user.ini box.json* robo.yml RoboFile.php
        """,
        "Perl, R, Julia, Lua and shells": """
            Makefile.PL Build.PL cpanfile* dist.ini .proverc .perltidyrc .perlcriticrc sitecustomize.pl Test/More.pm
            Test/Builder.pm Test/Simple.pm /DESCRIPTION /NAMESPACE .Rprofile .Renviron .lintr testthat.R renv/ renv.lock
            Project.toml Manifest.toml runtests.jl startup.jl *.rockspec .busted .luacheckrc .luacov .luarc*
            test_helper.bash test_helper.sh setup_suite.bash .shellspec .shellcheckrc .bashrc .profile .bash_profile
            .zshenv .zshrc .inputrc shunit2
        """,
        "C, C++, Swift, Dart, Elixir, Haskell, OCaml and others": """
            .clang-tidy .clang-format .clangd compile_flags.txt conanfile.* vcpkg*.json CTestConfig.* CTestTestfile.*
            CTestCustom.* .gdbinit .lldbinit .cppcheck* Package.swift Package.resolved *.pbxproj *.xcscheme *.xctestplan
            *.xcconfig Podfile* Cartfile* fastlane/ .swiftlint* .swiftformat Mintfile pubspec.* analysis_options.yaml
            dart_test.yaml flutter_test_config.dart build.yaml mix.exs mix.lock .formatter.exs .credo.exs
            test_helper.exs .iex.exs rebar.* erlang.mk elvis.config *.cabal cabal.project* stack.yaml* Setup.hs
            .hlint.y*ml .ghci dune dune-project dune-workspace *.opam elm.json gleam.toml shard.yml *.nimble nim.cfg
            config.nims foundry.toml hardhat* truffle* project.godot
        """,
        "containers and environments": """
            Dockerfile* *.Dockerfile Containerfile* .dockerignore docker-compose* compose*.y*ml Vagrantfile
            .devcontainer/ .devcontainer.json flake.nix flake.lock default.nix shell.nix devbox.* devenv.* .envrc .env
            .env.* *.env .flaskenv .tool-versions mise*.toml .mise* .python-version .java-version .sdkmanrc .gitpod*
            .replit replit.nix guix.scm .netrc .curlrc .wgetrc .asdfrc
        """,
        "continuous integration and the forge": """
            .github/ .gitea/ .forgejo/ .gitlab/ .gitlab-ci.y*ml *.gitlab-ci.y*ml CODEOWNERS .ci/ .circleci/ .travis.y*ml
            .drone.* .woodpecker/ .woodpecker*.y*ml .buildkite/ Jenkinsfile* azure-pipelines* .azure-pipelines/
            .azuredevops/ bitbucket-pipelines*.y*ml .appveyor.y*ml appveyor.y*ml .cirrus.* .semaphore/ .teamcity/
            cloudbuild*.y*ml cloudbuild*.json buildspec*.y*ml .build.y*ml .builds/ .tekton/ .zuul* zuul.yaml zuul.d/
            .concourse/ netlify.toml vercel.json renovate.json* .renovaterc* .mergify* codecov.y*ml .codecov.y*ml
            .coveralls.y*ml sonar-project.properties .sonarcloud.properties .codeclimate* .deepsource.toml .codacy*
            .sourcery.y*ml .coderabbit.y*ml .gitreview dagger.json .earthly/ .actrc
        """,
        "hooks, linters and scanners of any language": """
            .pre-commit-config.y*ml .pre-commit-hooks.y*ml prek.toml lefthook* .lefthook* .husky/ .githooks/
            .overcommit* .git-hooks/ .editorconfig .snyk .trivy* trivy*.y*ml .gitleaks* .secrets.baseline .secretlintrc*
            .trufflehog* .semgrep* semgrep*.y*ml .checkov* .tflint* .tfsec/ .terraformrc .hadolint* .yamllint*
            .markdownlint* .mdlrc .codespellrc .cspell* cspell* .typos.toml _typos.toml typos.toml .vale.ini .ls-lint*
            .mega-linter* .trunk/ .ast-grep/ sgconfig.y*ml dprint.json* lychee.toml buf.* .spectral*
        """,
        "git, and what tools leave out": """
            .gitignore .gitconfig .lfsconfig .ignore .rgignore .fdignore .agignore .npmignore .hgignore .nodemonignore
            .watchmanconfig .pylintignore .flake8ignore .testignore
        """,
        "agents and editors": """
            AGENTS*.md AGENT.md CLAUDE*.md .claude/ .claude* GEMINI.md .gemini/ .codex/ QWEN.md .qwen/ .cursor/
            .cursorrules .cursorignore .windsurf/ .windsurfrules .clinerules* .cline/ .clinerules/ .roo/ .roo*
            .continue/ .continuerules .aider* .opencode/ opencode.json* .kiro/ .junie/ .amp/ .augment* .augment/
            .goosehints .goose/ .agents/ .agent/ .openclaw/ .trae/ .zencoder/ .tabnine* .copilot*
            copilot-instructions.md .mcp.json mcp.json SKILL.md WARP.md CRUSH.md .crush* /SOUL.md /TOOLS.md
            /HEARTBEAT.md /IDENTITY.md /BOOTSTRAP.md /USER.md /MEMORY.md .vscode/ *.code-workspace .idea/ *.iml .run/
            .fleet/ .zed/ .theia/ .settings/ .project .classpath .exrc .vimrc .nvimrc .nvim.lua .lvimrc .dir-locals.el
            .dir-locals-2.el .projectile *.sublime-project .helix/ .kakrc
        """,
    }.items()
}


def _matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return whether a name matches one of the patterns, each for one name."""
    names = frozenset(map(fold_name, patterns))
    globs = name_pattern(tuple(sorted(name for name in names if "*" in name)))
    return lambda name: name in names or globs.match(name) is not None


def fold_name(path: str) -> str:
    """Return a path as file systems compare it that ignore case and the ways to write a letter."""
    return unicodedata.normalize("NFKC", path).casefold()


_ALL = tuple(chain.from_iterable(GATE_FILES.values()))
_PLAIN = tuple(pattern for pattern in _ALL if "/" not in pattern.removesuffix("/"))
_PLACED = tuple(f"/{fold_name(pattern)}" for pattern in _ALL if "/" in pattern.removesuffix("/") and pattern[0] != "/")
_ROOTED = tuple(fold_name(pattern) for pattern in _ALL if pattern.startswith("/"))
_is_file_name = _matcher(pattern for pattern in _PLAIN if not pattern.endswith("/"))
_is_directory_name = _matcher(pattern.rstrip("/") for pattern in _PLAIN if pattern.endswith("/"))


def is_gate_file(path: str) -> bool:
    """Return whether gates or tools load a path of a repository by its name."""
    folded = f"/{fold_name(path)}"
    *directories, name = folded[1:].split("/")
    return (
        _is_file_name(name)
        or any(map(_is_directory_name, directories))
        or any(place in folded if place.endswith("/") else folded.endswith(place) for place in _PLACED)
        or any(folded.startswith(place) if place.endswith("/") else folded == place for place in _ROOTED)
    )
