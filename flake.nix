{
  description = "Coordinator of prediction competitions: development shell and regtest stack";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.05";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forAll = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      # What ./dev asks for. It makes .venv itself, from wheels with pinned hashes, which look for these libraries.
      tools = pkgs: [ pkgs.python312 pkgs.nodejs_22 pkgs.git ];
      libraries = pkgs: pkgs.lib.makeLibraryPath [ pkgs.stdenv.cc.cc.lib pkgs.zlib ];
      # Found by `./dev regtest` instead of being built.
      daemons = pkgs: {
        BITCOIND = "${pkgs.bitcoind}/bin/bitcoind";
        LND = "${pkgs.lnd}/bin/lnd";
      };
    in
    {
      devShells = forAll (pkgs: {
        default = pkgs.mkShell ({
          packages = tools pkgs ++ [ pkgs.bitcoind pkgs.lnd ];
          LD_LIBRARY_PATH = libraries pkgs;
        } // daemons pkgs);
      });

      # nix run .#regtest in a checkout: the suites and scenarios on bitcoind and LND.
      apps = forAll (pkgs: {
        regtest = {
          type = "app";
          program = toString (pkgs.writeShellScript "regtest" ''
            export PATH=${pkgs.lib.makeBinPath (tools pkgs)}:$PATH
            export LD_LIBRARY_PATH=${libraries pkgs}
            export BITCOIND=${(daemons pkgs).BITCOIND} LND=${(daemons pkgs).LND}
            exec ./dev regtest "$@"
          '');
        };
      });
    };
}
